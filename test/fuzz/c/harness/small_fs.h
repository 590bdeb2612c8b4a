/*
 * A file system with little room, in memory, for programs that reach files by descriptors of their directories. Bytes of
 * the input are what others do to it meanwhile: they have calls fail, exchange directories, and replace files by their own.
 *
 * It checks that nothing is made in what is another one's, and that no name leads out of a directory. The calls that it
 * replaces are in the Makefile.
 */
#ifndef FUZZ_SMALL_FS_H
#define FUZZ_SMALL_FS_H

#include "harness/input.h"

/* An empty one. `input` stays until small_fs_end(). Descriptors above `stdin` are of it from then on. */
void small_fs_start(struct input *events, struct piece standard_input);

/* Checks what is left, and gives all calls back to the system. */
void small_fs_end(void);

#endif
