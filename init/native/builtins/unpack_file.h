/* The content of a file, as unpack gets it. */
#ifndef VS_UNPACK_FILE_H
#define VS_UNPACK_FILE_H

#include "builtins/levels.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Reads the rest of a FILE, from its size to its FILE_END, and makes a file of it that is unfinished. It ends the
 * program if it cannot, or if that is no file.
 *
 * @param name of the file, for reports
 * @return the descriptor of the file
 */
int unpack_file(const struct levels *levels, const char *name);

/* Writes bytes of a file at an offset. It ends the program if it cannot. */
void unpack_file_write(const struct levels *levels, const char *name, int fd, const uint8_t *bytes, size_t size,
		       uint64_t at);

#endif
