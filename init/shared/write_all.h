/* Writes a whole text. */
#pragma once

#include <stddef.h>

/* Writes all bytes. Returns 0, or -1 with errno set. */
int write_all(int fd, const void *data, size_t size);
