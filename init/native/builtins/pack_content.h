/* The content of a file, as pack sends it. */
#ifndef VS_PACK_CONTENT_H
#define VS_PACK_CONTENT_H

#include "builtins/levels.h"

#include <sys/stat.h>

/*
 * Writes the extents of a file of which `found` is known, and its end, to the stream. It sends no holes: neither those
 * that the file system knows, nor pieces of zeros where the file has fewer blocks than its size needs.
 *
 * @param name for reports
 */
void pack_content(int fd, const struct stat *found, const struct levels *levels, const char *name);

#endif
