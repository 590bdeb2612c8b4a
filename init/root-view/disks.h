/* Disks: files that QEMU's user owns where QEMU finds them, and only there. Nothing of the files themselves changes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct disk {
	const char *path;
	bool read_only;
	/* A copy of the mount of that one file; -1: not yet. */
	int mount;
};

struct disks {
	/* QEMU's user. */
	uid_t owner;
	struct disk *entries;
	size_t count;
};

/* How many inodes disks_attach() needs in the file system of the point. */
size_t disks_inodes(const struct disks *disks);

/*
 * Copies the mount of each file, with QEMU's user in the place of its owner. Nothing is mounted yet, so a point may cover
 * the files. Returns 0, or -1 with errno set and in *path the file that it failed on.
 */
int disks_open(const struct disks *disks, const char **path);

/* Mounts them: POINT/disks/disk.0 and so on, in a directory that nobody else may enter. Returns 0, or -1 with errno set. */
int disks_attach(const struct disks *disks, const char *point);
