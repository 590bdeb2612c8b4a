/*
 * Landlock: a process and its children give up rights for good. https://docs.kernel.org/userspace-api/landlock.html
 */
#ifndef VS_LANDLOCK_H
#define VS_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum access {
	/* Files and directories. */
	ACCESS_READ,
	/* ACCESS_READ, and writing, making, renaming and removing whatever is not a device. */
	ACCESS_WRITE,
	/* ACCESS_READ, and ioctl(2). */
	ACCESS_READ_DEVICE,
	/* ACCESS_READ_DEVICE, and writing. */
	ACCESS_DEVICE,
};

struct landlock_walls {
	/* Only what is allowed may be read; else everything may. */
	bool reads;
	/* TCP is refused. */
	bool network;
};

struct landlock {
	/* Of the kernel's Landlock. */
	int version;
	int ruleset;
	uint64_t handled;
};

/* 0: the kernel has no Landlock that serves here. */
int landlock_version(void);

/* Begins a ruleset of all that this version can refuse. */
int landlock_create(struct landlock *wall, const struct landlock_walls *walls);

/* @path: a descriptor of a file, or of a directory with all that is below it. */
int landlock_allow(const struct landlock *wall, int path, enum access access);

/* Allows nothing if the path is not there. */
int landlock_allow_path(const struct landlock *wall, const char *path, enum access access);

/* From here on nothing else is allowed. */
int landlock_enter(const struct landlock *wall);

#endif
