#include "boot/kernel_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int proc_fd = -1;
static int dev_fd = -1;
static int sys_fd = -1;

void kernel_dirs_keep(void)
{
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	dev_fd = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sys_fd = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int kernel_dirs_open_device(const char *name, int flags)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && dev_fd >= 0)
		fd = openat(dev_fd, name, flags | O_CLOEXEC);
	return fd;
}

int kernel_dirs_open_mountinfo(void)
{
	int fd = proc_fd >= 0 ? openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC) : -1;

	return fd >= 0 ? fd : open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

int kernel_dirs_open_block_devices(void)
{
	return openat(sys_fd, "block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
