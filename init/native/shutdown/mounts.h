/* The kernel's table of mounts. */
#ifndef VS_MOUNTS_H
#define VS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct mount_entry {
	char *target;
	char *type;
	bool read_only;
};

/* Cuts the text of a mountinfo file to pieces, in place; returns how many mounts there are, at most `limit`. */
size_t mounts_parse(char *text, struct mount_entry *mounts, size_t limit);

/* Whether anything could be lost: a writable file system that outlives this kernel. */
bool mount_holds_data(const struct mount_entry *entry);

#endif
