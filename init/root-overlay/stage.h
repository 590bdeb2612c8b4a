/* Where the layers are while the overlays are made. */
#pragma once

#include <stdint.h>

/* The directory for the tree of overlays. */
#define STAGE_TREE "tree"

/*
 * Makes the stage in memory of at most that size, with a directory for each kind of layer, and goes there. Returns 0,
 * or -1 with errno set.
 */
int stage_make(uint64_t bytes);

/* Leaves the stage and takes it away, if it is there. Returns 0, or -1 with errno set. */
int stage_discard(void);
