/* Removes directory trees. */
#ifndef VS_TREE_H
#define VS_TREE_H

/*
 * Removes a directory and everything in it, however deep it is. Never crosses a mount point, never follows a link. The
 * file `owner` in the directory goes last, so that a process that finds what is left of it knows whose it is.
 * `deadline` is a time of now_ms(), or 0 for none. Returns 0 when it is gone, or was; else -1 with errno, ETIMEDOUT when
 * the deadline has passed.
 */
int tree_remove(const char *path, long long deadline);

#endif
