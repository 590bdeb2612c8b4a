/* The kernel's mount table. */
#ifndef VS_MOUNT_TABLE_H
#define VS_MOUNT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct mount_entry {
	char *target;
	char *type;
	bool read_only;
};

/* Cuts the text of a mountinfo file to pieces, in place. Returns the number of mounts, at most `limit`. */
size_t mounts_parse(char *text, struct mount_entry *mounts, size_t limit);

/* Whether data could be lost: the file system is writable and outlives this kernel. */
bool mount_holds_data(const struct mount_entry *entry);

#endif
