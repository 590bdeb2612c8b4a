/* The layers that can be written to. */
#pragma once

#include "arguments.h"
#include "kept.h"

#define UPPER_OPTION_BYTES (512 + 2 * KEPT_PATH_BYTES)

/*
 * Makes those of a mount, by its path relative to the root and its number, in memory or where they are kept. Returns 0
 * and the options of mount(2) for the overlay, or -1 with errno set.
 */
int upper_make(const struct arguments *options, const char *mount, size_t number, char data[UPPER_OPTION_BYTES]);
