#include "empty_files.h"

#include "calls.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PERMISSIONS 07777

static void renew(int directory, const char *name, const struct stat *status)
{
	if (unlinkat(directory, name, 0) != 0)
		return;

	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (fchown(fd, status->st_uid, status->st_gid) == 0)
		(void)fchmod(fd, status->st_mode & PERMISSIONS);
	/* It counts as unchanged then. */
	(void)futimens(fd, (const struct timespec[]){status->st_atim, status->st_mtim});
	(void)close(fd);
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
	    status.st_size == 0)
		renew(directory, name, &status);
	(void)close(directory);
}
