/* A few files in memory that are served, and that the host changes. */
#ifndef FUZZ_TREE_H
#define FUZZ_TREE_H

#include <stdint.h>

/* Each byte of each file. */
#define TREE_CONTENT 'c'

/* Makes them as they are at first. Returns a descriptor of their directory, which is the caller's. */
int tree_open(void);

/* A name that may be there, or that is none. */
const char *tree_name(uint8_t which);

/* Changes something: renames, removes, or makes it anew. */
void tree_change(uint8_t how, uint8_t which);

#endif
