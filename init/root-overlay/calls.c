#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_TRIES 10000

#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif

/* Linux 5.14. */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

int open_below(int directory, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd = -1;

	/* EAGAIN: something was renamed or mounted meanwhile, anywhere. */
	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		fd = (int)syscall(SYS_openat2, directory, path[0] == '\0' ? "." : path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

int clone_mount(int fd)
{
	return (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

static int set_attributes(int mount, uint64_t flags, int ids)
{
	struct mount_attr attributes = {
		.attr_set = flags | (ids < 0 ? 0 : MOUNT_ATTR_IDMAP),
		.propagation = MS_PRIVATE,
		.userns_fd = ids < 0 ? 0 : (uint64_t)ids,
	};

	return (int)syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
}

int restrict_mount(int mount, int ids)
{
	return set_attributes(mount, MOUNT_ATTR_RDONLY, ids);
}

int defuse_mount(int mount, int ids)
{
	return set_attributes(mount, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW,
			      ids);
}

int attach_mount(int mount, int target)
{
	return (int)syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
