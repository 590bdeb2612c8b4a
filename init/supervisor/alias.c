#include "alias.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_link(const char *path, char target[PATH_MAX])
{
	ssize_t n = readlink(path, target, PATH_MAX - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return true;
}

void alias_remove(const char *at, const char *directory)
{
	char link[PATH_MAX];
	char alias[PATH_MAX];
	char target[PATH_MAX];

	if ((size_t)snprintf(link, sizeof(link), "%s/alias", at) >= sizeof(link) || !read_link(link, alias) ||
	    alias[0] != '/')
		return;
	/* Remove only a link that leads here, and its directory only if nothing is left in it. */
	if (read_link(alias, target) && (strcmp(target, directory) != 0 || unlink(alias) != 0))
		return;
	*strrchr(alias, '/') = '\0';
	(void)rmdir(alias);
}
