/* The overlays that are looked through with the rights of the reader. */
#pragma once

#include "arguments.h"

#include <stddef.h>

/*
 * Mounts one on wall/N over each lower/N of the working directory whose error is 0, in a process of the reader's, and
 * sets the errors of those that cannot have one. Returns 0, or -1 with errno set if there is no such process.
 */
int wall_make(const struct arguments *options, int *errors, size_t count);
