/* The files with several names that pack has sent, each with its number in the stream. */
#ifndef VS_SENT_FILES_H
#define VS_SENT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Whether it was sent, as which number. */
bool sent_files_find(const struct stat *found, uint32_t *number);

/* Gives it the next number. Returns false if the stream may have no more of them: then it is a file like any other. */
bool sent_files_add(const struct stat *found, size_t path_size);

#endif
