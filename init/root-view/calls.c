#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_TRIES 10000

#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

int clone_mount(const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}

int attach_mount(int mount, int target)
{
	return (int)syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int restrict_mount(int mount, unsigned int flags)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};

	return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &attributes, sizeof(attributes));
}

int map_mount(int mount, int ids, bool read_only)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			    (read_only ? MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE,
		.userns_fd = (uint64_t)ids,
	};

	return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
}

int open_inside(int root, const char *path, unsigned long long resolve)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve};
	int fd = -1;

	/* EAGAIN: something was renamed or mounted meanwhile, anywhere, so that ".." may have been wrong. */
	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int open_process(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int open_parent(pid_t pid)
{
	char path[64];
	char text[1024];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The name before it may have blanks and parentheses: proc_pid_stat(5). */
	const char *behind = strrchr(text, ')');
	int parent;

	return behind != NULL && sscanf(behind, ") %*c %d", &parent) == 1 && parent > 0 ? open_process(parent) : -1;
}

int open_directory_of(const char *path)
{
	char directory[PATH_MAX];
	const char *slash = path == NULL ? NULL : strrchr(path, '/');

	if (slash == NULL ||
	    (size_t)snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - path), path) >= sizeof(directory))
		return -1;
	return open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
}
