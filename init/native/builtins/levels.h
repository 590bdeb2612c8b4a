/*
 * The way down a tree, by descriptors: no path is resolved twice, and no symbolic link is followed. Only the last few
 * directories are open, so that no tree is too deep; the way up opens the others again, and checks that they are the
 * same.
 */
#ifndef VS_LEVELS_H
#define VS_LEVELS_H

#include "builtins/tree.h"

#include <stddef.h>
#include <sys/types.h>

/* How many directories are open at a time, besides the first ones. */
#define LEVELS_OPEN 16
#define LEVELS_STAY_OPEN 2

struct level {
	/* -1: closed. */
	int fd;
	dev_t device;
	ino_t inode;
	/* The length of the path before it. */
	size_t above;
	/* What the program keeps of it. */
	void *kept;
};

/* The first may be the one in which the tree is. */
struct levels {
	size_t count;
	/* For reports; cut off where it is too long. */
	char path[4096];
	struct level items[TREE_MAX_DEPTH + 1];
};

/* The directory that was entered last. */
const struct level *levels_top(const struct levels *levels);

/* What the program keeps of that one. */
void levels_keep(struct levels *levels, void *kept);

/* Enters a directory, whose descriptor it takes over; `name` is for reports. It ends the process if it cannot. */
void levels_enter(struct levels *levels, int fd, const char *name);

/* Opens the directory above the last one, if there is one. It ends the process if that is not where it was. */
void levels_open_above(struct levels *levels);

/* Goes back to the directory above. */
void levels_leave(struct levels *levels);

/* The path of an entry of the last directory, for reports, until the next call. */
const char *levels_path(const struct levels *levels, const char *name);

/* Ends the program with a report: the call failed with an entry of the last directory, or with an empty name with it. */
_Noreturn void levels_fail(const struct levels *levels, int error, const char *call, const char *name);

#endif
