/* Files that a program under test opens: any path leads to the given content. Needs WRAPS open read fstat close. */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <stddef.h>
#include <stdint.h>

/* The file that is opened next; the same for each further one. Reads give at most `part` bytes at a time; 0: all. */
void file_set(const uint8_t *data, size_t size, size_t part);

/* How many files are open. */
int file_count_open(void);

#endif
