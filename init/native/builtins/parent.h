/* A path as its directory and its name there. */
#ifndef VS_PARENT_H
#define VS_PARENT_H

#include <stddef.h>

/* Cuts the slashes behind the last name. Returns the size that is left. */
size_t parent_cut_slashes(char *path);

/*
 * Opens the directory of `path` with O_PATH, and points `name` at its name there: that of "/" is "/".
 *
 * @return the descriptor, or -1 with errno set
 */
int parent_open(const char *path, const char **name);

#endif
