#include "aside.h"

#include "alias.h"
#include "owner.h"
#include "timing.h"
#include "tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How many names to try: another PID namespace may have the same process IDs, and leave such a directory too. */
#define MAX_NAMES 100

static enum removal fail(enum removal how, const char *path, const char *why, char reason[REASON_BYTES])
{
	(void)snprintf(reason, REASON_BYTES, "%s: %s", path, why);
	return how;
}

static bool move_aside(const char *directory, char aside[PATH_MAX])
{
	int length = (int)(strrchr(directory, '/') - directory);

	for (int i = 0; i < MAX_NAMES; i++) {
		if ((size_t)snprintf(aside, PATH_MAX, "%.*s/.stale-%d-%d", length, directory, (int)getpid(), i) >=
		    PATH_MAX) {
			errno = ENAMETOOLONG;
			return false;
		}
		if (rename(directory, aside) == 0)
			return true;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return false;
	}
	return false;
}

static bool go_on_in_background(const char *aside)
{
	pid_t pid = fork();

	if (pid == 0) {
		/* Whoever waits for the end of these descriptors need not wait for this. */
		(void)syscall(SYS_close_range, 0U, ~0U, 0);
		(void)setsid();
		_exit(tree_remove(aside, 0) == 0 ? 0 : 1);
	}
	return pid > 0;
}

enum removal remove_aside(const char *directory, int state, int removals, char reason[REASON_BYTES])
{
	char aside[PATH_MAX];
	bool there = state_is(directory, state);

	if (there)
		alias_remove(directory, state);
	bool moved = there && move_aside(directory, aside);
	int failed = errno;

	if (removals >= 0)
		(void)close(removals);
	if (!there || (!moved && failed == ENOENT))
		return REMOVED;
	if (!moved)
		return fail(REMOVAL_FAILED, directory, strerror(failed), reason);
	if (tree_remove(aside, now_ms() + REMOVAL_MS) == 0)
		return REMOVED;
	if (errno != ETIMEDOUT || !go_on_in_background(aside))
		return fail(REMOVAL_STUCK, aside, strerror(errno), reason);
	(void)snprintf(reason, REASON_BYTES, "%s", aside);
	return REMOVAL_LASTS;
}
