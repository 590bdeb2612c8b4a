/* The way down to a directory whose path others may change meanwhile. */
#ifndef VS_WALK_H
#define VS_WALK_H

#include <stddef.h>

/*
 * Opens a directory with O_PATH, and follows no link below `from`.
 *
 * @param path its path from there, of which the first `size` bytes count: names of at most 255 bytes; none: `from`
 * @return the descriptor, or -1 with errno set
 */
int walk_open(int from, const char *path, size_t size);

#endif
