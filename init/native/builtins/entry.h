/* The record of a file: docs/protocol.md, "Programs of the init". */
#ifndef VS_BUILTIN_ENTRY_H
#define VS_BUILTIN_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* Writes a record. `target` is where a link leads. */
void entry_put(const char *name, const struct stat *status, const char *target, size_t target_size);

/*
 * Writes the record of a file under `name`.
 *
 * @param directory a descriptor of its directory, or AT_FDCWD
 * @param path its path from there
 * @param follow whether the record is of what a link leads to
 * @return 0, or -1 with errno set: nothing is written
 */
int entry_write(int directory, const char *path, const char *name, bool follow);

/* Writes the record of an entry that is there, of which nothing but its name is known: all else is 0. */
void entry_write_unknown(const char *name);

#endif
