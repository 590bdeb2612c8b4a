/* Directory trees. */
#ifndef VS_TREE_H
#define VS_TREE_H

/* Removes a directory and all in it; never crosses a mount point and never follows a link. Returns 0 when it is gone. */
int tree_remove(const char *path);

#endif
