/* The mounts at and below a directory. */
#pragma once

#include <stddef.h>

/* libvirt takes no more binds than that; more of a container are not expected. */
#define MAX_MOUNTS 1024

struct mounts {
	/* Paths relative to the directory, parents first; the first is the directory itself, "". */
	const char *paths[MAX_MOUNTS];
	size_t count;
};

/*
 * Reads them once from /proc/self/mountinfo. Returns 0, or -1 with errno set: ENOTDIR if nothing is mounted on the
 * directory, E2BIG if there are too many.
 */
int mounts_read(const char *root, struct mounts *mounts);
