/* The stream of a tree that unpack reads from stdin. What is no tree, or a failure, ends the program. */
#ifndef VS_TREE_INPUT_H
#define VS_TREE_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* Big-endian. */
uint64_t tree_get_number(size_t bytes);

/* A text, which has no NUL and gets one behind it. `to` has room for both. */
void tree_get_text(char *to, size_t size);

/* What is there of the next `most` bytes, until the next call: at least one. Its size is put into `size`. */
const uint8_t *tree_get_some(size_t most, size_t *size);

/* Ends the program: the stream is no tree. */
_Noreturn void tree_malformed(const char *what);

#endif
