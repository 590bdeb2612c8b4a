#include "empty_files.h"

#include "calls.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERMISSIONS 07777

/* Beside the file, until it takes its place: whoever is killed meanwhile leaves the file as it is. */
#define FRESH ".virt-sandbox-fresh-lock"

/* One that can be read can be copied, and needs nothing. So does one of the upper layer. */
static bool is_readable(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

static int make_like(int directory, const struct stat *status)
{
	int fd;
	int result;

	/* An earlier container may have been killed here. */
	(void)unlinkat(directory, FRESH, 0);
	fd = openat(directory, FRESH, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	result = fchown(fd, status->st_uid, status->st_gid) == 0 ? fchmod(fd, status->st_mode & PERMISSIONS) : -1;
	/* So that it does not look as if the sandbox had changed it. */
	(void)futimens(fd, (const struct timespec[]){status->st_atim, status->st_mtim});
	return close(fd) == 0 ? result : -1;
}

static void renew(int directory, const char *name, const struct stat *status)
{
	if (make_like(directory, status) != 0 || renameat(directory, FRESH, directory, name) != 0)
		(void)unlinkat(directory, FRESH, 0);
}

void empty_file_renew(int tree, const char *path)
{
	char above[PATH_MAX];
	struct stat status;
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	int size = slash == NULL ? 0 : (int)(slash - path);

	if ((size_t)snprintf(above, sizeof(above), "%.*s", size, path) >= sizeof(above))
		return;

	int directory = open_below(tree, above);

	if (directory < 0)
		return;
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size == 0 && !is_readable(directory, name))
		renew(directory, name, &status);
	(void)close(directory);
}
