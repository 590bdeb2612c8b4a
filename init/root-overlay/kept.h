/*
 * Upper layers that a directory keeps for the next container:
 *
 *   mounts/NAME/upper    what differs from a mount; NAME is its absolute path in the root, `%2Fboot%2Fefi`
 *   mounts/NAME/work     the kernel's own
 *   lock/                an overlay of nothing, by which the kernel says that somebody uses them
 *
 * What is in `upper` an earlier container has written. Nothing above it can a container reach.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

/* The directory, and the lock, in the working directory. */
#define KEPT "kept"
#define KEPT_LOCK "lock"

#define KEPT_PATH_BYTES (2 * NAME_MAX)

/*
 * Takes the mount at that path to KEPT, with these ids (-1: none), so that no other path leads to it. The directory at
 * that path goes away. Returns 0, or -1 with errno set.
 */
int kept_take(const char *path, int ids);

/*
 * Mounts the lock on KEPT_LOCK. As long as an overlay has it as one of its layers, nobody else can: EBUSY. It tries
 * again for that time: one may be about to end. Returns 0, or -1 with errno set.
 */
int kept_lock(uint64_t wait_seconds);

/*
 * Makes the layers of a mount, if they are not there, with the topmost directory like `lower`. Returns 0 and their
 * paths, or -1 with errno set.
 */
int kept_make(const char *mount, const char *lower, char upper[KEPT_PATH_BYTES], char work[KEPT_PATH_BYTES]);
