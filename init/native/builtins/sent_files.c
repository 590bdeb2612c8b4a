#include "builtins/sent_files.h"

#include "builtins/tree.h"

#include <stdlib.h>

/* At most half of them are taken. */
#define SLOTS (2 * TREE_MAX_SHARED_FILES)

struct slot {
	dev_t device;
	ino_t inode;
	/* One more than its number; 0: nothing is here. */
	uint32_t taken;
};

/* Made for the first file; without memory for it no file is sent as one with several names. */
static struct slot *slots;
static uint32_t count;
static size_t path_bytes;

/* Where the file is, or where it would be. */
static struct slot *slot_of(const struct stat *found)
{
	uint64_t hash = ((uint64_t)found->st_ino ^ (uint64_t)found->st_dev << 32) * 0x9e3779b97f4a7c15U;
	size_t at = (size_t)(hash >> 40) % SLOTS;

	while (slots[at].taken != 0 && (slots[at].device != found->st_dev || slots[at].inode != found->st_ino))
		at = (at + 1) % SLOTS;
	return &slots[at];
}

bool sent_files_find(const struct stat *found, uint32_t *number)
{
	const struct slot *slot = slots == NULL ? NULL : slot_of(found);

	if (slot == NULL || slot->taken == 0)
		return false;
	*number = slot->taken - 1;
	return true;
}

bool sent_files_add(const struct stat *found, size_t path_size)
{
	struct slot *slot;

	if (slots == NULL)
		slots = calloc(SLOTS, sizeof(*slots));
	if (slots == NULL || path_size == 0 || count == TREE_MAX_SHARED_FILES ||
	    path_size > TREE_MAX_SHARED_BYTES - path_bytes)
		return false;
	slot = slot_of(found);
	if (slot->taken != 0)
		return false;
	*slot = (struct slot){found->st_dev, found->st_ino, ++count};
	path_bytes += path_size;
	return true;
}
