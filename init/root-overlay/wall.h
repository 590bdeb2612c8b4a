/* The overlays that are looked through with the rights of the reader, or of root. */
#pragma once

#include "arguments.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * With a reader, or if something is kept. An upper layer over a file system of the host notes the file that each of its
 * copies was made of. Over a wall it cannot: in a later run, when the host has renamed that file, the copy would be
 * shown by the new name.
 */
bool wall_is_needed(const struct arguments *options);

/*
 * Mounts one on wall/N over each lower/N of the working directory whose error is 0, and sets the errors of those that
 * cannot have one. If there is a reader, a process of the reader's does. Returns 0, or -1 with errno set if there is no
 * such process.
 */
int wall_make(const struct arguments *options, int *errors, size_t count);
