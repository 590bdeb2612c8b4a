/* Removes directory trees. */
#ifndef VS_TREE_H
#define VS_TREE_H

/*
 * Removes a directory and everything in it. Never crosses a mount point, never follows a link. Returns 0 when it is
 * gone.
 */
int tree_remove(const char *path);

#endif
