#include "builtins/entry_names.h"

#include "builtins/component.h"
#include "builtins/tree.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_ROOM 4096

/* The names that are still to come, each with its NUL. */
struct entry_names {
	size_t at;
	size_t size;
	size_t room;
	char bytes[];
};

/* As getdents64(2) has it. */
struct listed {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

static struct entry_names *add_name(struct entry_names *names, const char *name, const struct levels *levels)
{
	size_t size = strlen(name) + 1;

	/* FUSE has longer ones. Their length does not fit into a record. */
	if (size > TREE_MAX_NAME_BYTES + 1)
		levels_fail(levels, ENAMETOOLONG, "list", "");
	if (names == NULL || size > names->room - names->size) {
		size_t room = names == NULL ? FIRST_ROOM : 2 * names->room;
		size_t used = names == NULL ? 0 : names->size;

		names = realloc(names, sizeof(*names) + room);
		if (names == NULL)
			levels_fail(levels, ENOMEM, "list", "");
		names->at = 0;
		names->size = used;
		names->room = room;
	}
	memcpy(names->bytes + names->size, name, size);
	names->size += size;
	return names;
}

struct entry_names *entry_names_read(const struct levels *levels)
{
	int fd = levels_top(levels)->fd;
	static _Alignas(struct listed) char list[32768];
	struct entry_names *names = NULL;

	for (;;) {
		long size = syscall(SYS_getdents64, fd, list, sizeof(list));

		/* ENOENT: it was removed after it was opened, so nothing is in it. */
		if (size == 0 || (size < 0 && errno == ENOENT))
			return names;
		if (size < 0)
			levels_fail(levels, errno, "list", "");
		for (long at = 0; at < size;) {
			const struct listed *listed = (const void *)(list + at);

			if (!component_is_dots(listed->name))
				names = add_name(names, listed->name, levels);
			at += listed->size;
		}
	}
}

const char *entry_names_next(struct entry_names *names)
{
	const char *name;

	if (names == NULL || names->at == names->size)
		return NULL;
	name = names->bytes + names->at;
	names->at += strlen(name) + 1;
	return name;
}
