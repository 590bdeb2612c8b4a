/* The end of a state directory. */
#ifndef VS_ASIDE_H
#define VS_ASIDE_H

#include <limits.h>

/* Exit statuses. */
enum removal {
	/* Also by another process. */
	REMOVED = 0,
	/* Its owner lives. */
	REMOVAL_REFUSED = 1,
	/* It is still at its path. */
	REMOVAL_FAILED = 2,
	/* It takes longer than REMOVAL_MS, and a process in the background goes on with it. Its path is free. */
	REMOVAL_LASTS = 3,
	/* Its path is free. What is left of it beside that path cannot be removed. */
	REMOVAL_STUCK = 4,
};

/* How long the removal may take before it goes on in the background, in milliseconds. */
#define REMOVAL_MS 2000

#define REASON_BYTES (PATH_MAX + 128)

/*
 * Moves a state directory away from its path, so that nobody ever sees half a directory there and the next one of that
 * name is never touched, and removes it. `state` is of state_open(); if another directory is at the path by now, nothing
 * is done. `removals` is of lock_removals(), and is closed. `reason` is set for the last three of these, and
 * begins with the path that is left.
 */
enum removal remove_aside(const char *directory, int state, int removals, char reason[REASON_BYTES]);

#endif
