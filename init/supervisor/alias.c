#include "alias.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static bool read_link(int at, const char *path, char target[PATH_MAX])
{
	ssize_t n = readlinkat(at, path, target, PATH_MAX - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return true;
}

void alias_remove(const char *directory, int state)
{
	char alias[PATH_MAX];
	char target[PATH_MAX];

	if (!read_link(state, "alias", alias) || alias[0] != '/')
		return;
	/* Remove only a link that leads here, and its directory only if nothing is left in it. */
	if (read_link(AT_FDCWD, alias, target) && (strcmp(target, directory) != 0 || unlink(alias) != 0))
		return;
	*strrchr(alias, '/') = '\0';
	(void)rmdir(alias);
}

void alias_keep(const char *directory)
{
	char path[PATH_MAX];
	char alias[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/alias", directory) >= sizeof(path) ||
	    !read_link(AT_FDCWD, path, alias) || alias[0] != '/')
		return;
	*strrchr(alias, '/') = '\0';
	int fd = open(alias, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* The descriptor stays open. */
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0)
		(void)close(fd);
}
