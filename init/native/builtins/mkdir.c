/* mkdir PATH MODE PARENTS: makes a directory. With PARENTS it may exist, and missing ones above it are made, too. */
#include "builtins/builtins.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#define PARENT_MODE 0755

static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void make_parents(char *path)
{
	size_t size = strlen(path);

	/* The last one is no parent. */
	while (size > 1 && path[size - 1] == '/')
		path[--size] = '\0';
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		/* What is there and no directory fails with what is made below it. */
		if (mkdir(path, PARENT_MODE) < 0 && errno != EEXIST)
			builtin_fail(errno, "mkdir(%s)", path);
		*slash = '/';
	}
}

void builtin_mkdir(char **argv)
{
	char *path = argv[0];
	mode_t mode = builtin_number(argv[1], BUILTIN_MODES);
	bool parents = builtin_flag(argv[2]);

	/* The mode is what the host asks for. */
	(void)umask(0);
	if (parents && path[0] != '\0')
		make_parents(path);
	if (mkdir(path, mode) < 0 && !(parents && errno == EEXIST && is_directory(path)))
		builtin_fail(errno, "mkdir(%s)", path);
}
