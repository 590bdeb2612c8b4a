/* The stream of a tree that pack writes to stdout, in a buffer. A failure ends the program. */
#ifndef VS_TREE_OUTPUT_H
#define VS_TREE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The most content of one extent. */
#define TREE_PIECE_BYTES 65536

/* Big-endian. */
void tree_put_number(uint64_t value, size_t bytes);
void tree_put_bytes(const void *bytes, size_t size);

/* A record up to its name, which has at most TREE_MAX_NAME_BYTES. */
void tree_put_name(uint8_t type, const char *name);
/* The same, and mode and time. */
void tree_put_entry(uint8_t type, const char *name, const struct stat *found);
void tree_put_skipped(const char *name, uint8_t reason);

/* Room for the content of an extent: until the next call, tree_put_extent() puts its first bytes into the stream. */
uint8_t *tree_extent_room(void);
void tree_put_extent(uint64_t offset, size_t size);

/* Writes what is in the buffer. */
void tree_flush(void);

#endif
