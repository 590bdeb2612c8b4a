#include "ops/paths.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define PARENT_MODE 0755

static int make_one(const char *path, mode_t mode)
{
	struct stat status;

	if (mkdir(path, mode) == 0) {
		/* mkdir(2) leaves these bits to chmod(2). */
		if ((mode & (S_ISUID | S_ISGID)) != 0)
			return chmod(path, mode);
		return 0;
	}
	if (errno != EEXIST)
		return -1;
	if (stat(path, &status) < 0)
		return -1;
	if (S_ISDIR(status.st_mode))
		return 0;
	errno = ENOTDIR;
	return -1;
}

/* A loop from the top down, because recursion would be two thousand levels deep for the longest path. */
int paths_make_parents(char *path)
{
	for (char *slash = strchr(path + (path[0] == '/'), '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int result;

		*slash = '\0';
		result = make_one(path, PARENT_MODE);
		*slash = '/';
		if (result < 0)
			return -1;
	}
	return 0;
}

int paths_make_directory(char *path, mode_t mode)
{
	size_t size = strlen(path);

	while (size > 1 && path[size - 1] == '/')
		path[--size] = '\0';
	/* Parents mostly exist, so one call is enough. */
	if (make_one(path, mode) == 0)
		return 0;
	if (errno != ENOENT || size == 0 || paths_make_parents(path) < 0)
		return -1;
	return make_one(path, mode);
}
