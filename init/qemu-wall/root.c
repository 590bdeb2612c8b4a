#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OF_PROCESS "/proc/"
#define FRESH ".qemu"

static int replace_link(const char *link, int fd)
{
	char fresh[PATH_MAX];
	char target[64];

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s" FRESH, link) >= sizeof(fresh)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	return symlink(target, fresh) == 0 ? rename(fresh, link) : -1;
}

/* The directory that another file system's directory is mounted in; -1 if none is mounted there. */
static int mount_parent(int fd)
{
	struct stat own;
	struct stat above;
	int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0 || fstat(fd, &own) != 0 || fstat(parent, &above) != 0)
		return -1;
	if (own.st_dev != above.st_dev)
		return parent;
	(void)close(parent);
	errno = EXDEV;
	return -1;
}

int root_keep(const char *link, int *root)
{
	char target[sizeof(OF_PROCESS)];
	/* QEMU inherits it. */
	int fd = open(link, O_PATH | O_DIRECTORY);
	ssize_t n = readlink(link, target, sizeof(target));

	if (fd < 0 || n < 0)
		return -1;

	bool is_view = (size_t)n >= strlen(OF_PROCESS) && strncmp(target, OF_PROCESS, strlen(OF_PROCESS)) == 0;

	if (!is_view) {
		*root = fd;
		return 0;
	}
	*root = mount_parent(fd);
	return *root < 0 ? -1 : replace_link(link, fd);
}
