/*
 * The mount table that the native init unmounts by. A file system's name and the path of a mount are the application's
 * choice.
 *
 * What must hold: what is found lies in the text, and paths are not longer than they were.
 */
#include "harness/check.h"
#include "harness/input.h"
#include "shutdown/mount_table.h"

#include <stdlib.h>
#include <string.h>

#define MOST 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = input_string(data, size);
	struct mount_entry mounts[MOST];
	size_t count = mounts_parse(text, mounts, MOST);

	check(count <= MOST, "no more mounts than there is room for");
	for (size_t i = 0; i < count; i++) {
		const struct mount_entry *entry = &mounts[i];

		check(entry->target >= text && entry->target + strlen(entry->target) <= text + size,
		      "a target lies in the text");
		check(entry->type >= text && entry->type + strlen(entry->type) <= text + size,
		      "a type lies in the text");
		(void)mount_holds_data(entry);
	}
	free(text);
	return 0;
}
