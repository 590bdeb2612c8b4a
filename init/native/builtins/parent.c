#include "builtins/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

size_t parent_cut_slashes(char *path)
{
	size_t size = strlen(path);

	while (size > 1 && path[size - 1] == '/')
		path[--size] = '\0';
	return size;
}

int parent_open(const char *path, const char **name)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;

	if (size >= sizeof(parent)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, path, size);
	parent[size] = '\0';
	*name = slash != NULL && slash[1] == '\0' ? slash : path + size;
	return open(size == 0 ? "." : parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
}
