/* The view: a copy of the mounts of a directory, without what a sandbox must not see. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A path below the source, without a slash in front. */
struct view_entry {
	/* Hide what is there. Otherwise: show the file system that is mounted there. */
	bool hide;
	const char *path;
};

struct view {
	/* The directory that is shown: an absolute path. NULL: none, and there is nothing in the point yet. */
	const char *source;
	/* A directory to mount on, a file system of its own. The view is in POINT/root. */
	const char *point;
	/*
	 * Show every file system that is mounted below the source. In a user namespace the kernel allows nothing else,
	 * since it would show what these cover.
	 */
	bool recursive;
	const struct view_entry *entries;
	size_t count;
	/* For what others make in the point. */
	size_t spare_inodes;
};

/*
 * Makes the view in this mount namespace. Returns 0, or -1 with errno set, and *failed says what could not be done, to
 * *path. What was mounted until then stays.
 */
int view_make(const struct view *view, const char **failed, const char **path);
