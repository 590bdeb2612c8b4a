#include "builtins/walk.h"

#include "builtins/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int walk_open(int from, const char *path, size_t size)
{
	int directory = openat(from, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *end = path + size;

	while (directory >= 0 && path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t length = (size_t)((slash == NULL ? end : slash) - path);
		char name[TREE_MAX_NAME_BYTES + 1];
		int above = directory;

		(void)snprintf(name, sizeof(name), "%.*s", (int)length, path);
		directory = openat(above, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(above);
		path += length + (slash != NULL);
	}
	return directory;
}
