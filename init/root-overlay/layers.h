/* The overlays: what each is made of, and where they go. */
#pragma once

#include "arguments.h"
#include "mounts.h"

/*
 * Makes them, and puts them in the place of the mounts. Says on stdout which could not have one. Returns 0, or -1 with
 * errno set and in *what what failed.
 */
int layers_make(const struct arguments *options, const struct mounts *mounts, const char **what);
