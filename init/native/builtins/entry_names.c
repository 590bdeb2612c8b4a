#include "builtins/entry_names.h"

#include "builtins/component.h"
#include "builtins/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 4096

/* The names that are still to come, each with its NUL. */
struct entry_names {
	size_t at;
	size_t size;
	size_t room;
	char bytes[];
};

/* More room for them: musl's realloc() is larger than all that is here. */
static struct entry_names *grow(struct entry_names *names)
{
	size_t room = names == NULL ? FIRST_ROOM : 2 * names->room;
	struct entry_names *grown = malloc(sizeof(*grown) + room);

	if (grown == NULL)
		return NULL;
	*grown = (struct entry_names){.room = room};
	if (names != NULL) {
		memcpy(grown->bytes, names->bytes, names->size);
		grown->size = names->size;
	}
	free(names);
	return grown;
}

static struct entry_names *add_name(struct entry_names *names, const char *name, const struct levels *levels)
{
	size_t size = strlen(name) + 1;

	/* FUSE has longer ones. Their length does not fit into a record. */
	if (size > TREE_MAX_NAME_BYTES + 1)
		levels_fail(levels, ENAMETOOLONG, "list", "");
	if (names == NULL || size > names->room - names->size)
		names = grow(names);
	if (names == NULL)
		levels_fail(levels, ENOMEM, "list", "");
	memcpy(names->bytes + names->size, name, size);
	names->size += size;
	return names;
}

struct entry_names *entry_names_read(const struct levels *levels)
{
	/* The descriptor of the level stays open. */
	int fd = fcntl(levels_top(levels)->fd, F_DUPFD_CLOEXEC, 0);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct entry_names *names = NULL;
	const struct dirent *entry;

	while (directory != NULL && (errno = 0, entry = readdir(directory)) != NULL) {
		if (!component_is_dots(entry->d_name))
			names = add_name(names, entry->d_name, levels);
	}
	/* ENOENT: it was removed after it was opened, so nothing is in it. */
	if (errno != 0 && errno != ENOENT)
		levels_fail(levels, errno, "list", "");
	if (directory != NULL)
		(void)closedir(directory);
	return names;
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
