#include "shutdown/filesystems.h"

#include "boot/kernel_dirs.h"
#include "shutdown/mount_table.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/platform.h"
#include "util/signals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A server of the host that does not answer by then will not. A disk may be as slow as what is left for it is large. */
#define END_US (10 * MICROSECONDS_PER_SECOND)
#define DISKS_END_US (600 * MICROSECONDS_PER_SECOND)
#define TABLE_BYTES (256 * 1024)
#define MAX_MOUNTS 1024

static char table[TABLE_BYTES];
static struct mount_entry mounts[MAX_MOUNTS];

/* Reads the mount table and returns how many mounts it has, oldest first. */
static size_t read_mounts(void)
{
	size_t used = 0;
	ssize_t count = 0;
	int fd = kernel_dirs_open_mountinfo();

	if (fd < 0) {
		log_line("open(/proc/self/mountinfo): %s; nothing is unmounted", strerror(errno));
		return 0;
	}
	while (used < sizeof(table) - 1 && (count = read(fd, table + used, sizeof(table) - 1 - used)) > 0)
		used += (size_t)count;
	if (count < 0)
		log_line("read(/proc/self/mountinfo): %s", strerror(errno));
	fd_close(&fd);
	table[used] = '\0';
	return mounts_parse(table, mounts, MAX_MOUNTS);
}

static void unmount(const struct mount_entry *entry, bool container)
{
	bool root = strcmp(entry->target, "/") == 0;

	if (!root && umount2(entry->target, 0) == 0)
		return;
	/* Other containers and the host may use this file system too, so do not make it read-only. */
	if (container)
		return;
	if (mount(NULL, entry->target, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0)
		return;
	log_debug("%s (%s) stays as it is: %s", entry->target, entry->type, strerror(errno));
}

/* Opens the kernel's list of block devices. NULL if there is none to read. */
static DIR *open_block_devices(void)
{
	int fd = kernel_dirs_open_block_devices();
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL)
		fd_close(&fd);
	return directory;
}

/* Returns the next name of a directory that is not "." or ".."; NULL at its end. */
static const char *next_name(DIR *directory)
{
	const struct dirent *entry;

	do {
		entry = readdir(directory);
	} while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry == NULL ? NULL : entry->d_name;
}

/* A program may have written to a block device without a file system. True if the list cannot be read. */
static bool has_block_devices(void)
{
	DIR *directory = open_block_devices();
	bool found = directory == NULL || next_name(directory) != NULL;

	if (directory != NULL)
		(void)closedir(directory);
	return found;
}

/*
 * sync(2) hands the data written to a block device over to it, but does not make it flush its cache. QEMU may be
 * killed, caches and all, as soon as the host has the exit status.
 */
static void flush_block_devices(void)
{
	DIR *directory = open_block_devices();
	const char *name;

	while (directory != NULL && (name = next_name(directory)) != NULL) {
		int fd = kernel_dirs_open_device(name, O_RDONLY | O_NONBLOCK);

		/* A device without a medium cannot be opened, and a read-only one has nothing to flush. */
		if (fd >= 0 && fsync(fd) < 0 && errno != EROFS)
			log_line("fsync(/dev/%s): %s", name, strerror(errno));
		fd_close(&fd);
	}
	if (directory != NULL)
		(void)closedir(directory);
}

/*
 * A container cannot ask the kernel, which is the host's. Its disks are the block devices in its /dev. With
 * `write_out`, flushes each. False if there is none.
 */
static bool sync_disks(bool write_out)
{
	DIR *directory = opendir("/dev");
	const char *name;
	struct stat status;
	bool found = false;

	while (directory != NULL && (name = next_name(directory)) != NULL) {
		int fd;

		if (fstatat(dirfd(directory), name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISBLK(status.st_mode))
			continue;
		found = true;
		fd = write_out ? openat(dirfd(directory), name, O_RDONLY | O_CLOEXEC) : -1;
		if (fd >= 0 && fsync(fd) < 0)
			log_line("fsync(/dev/%s): %s", name, strerror(errno));
		fd_close(&fd);
	}
	if (directory != NULL)
		(void)closedir(directory);
	return found;
}

static bool has_disks(bool container)
{
	return container ? sync_disks(false) : has_block_devices();
}

static bool holds_data(size_t count)
{
	while (count-- > 0) {
		if (mount_holds_data(&mounts[count]))
			return true;
	}
	return false;
}

static void unmount_all(size_t count, bool container)
{
	/* In a container, sync() would sync the whole host. Unmounting syncs what belongs to the container. */
	if (!container)
		sync();
	while (count-- > 0) {
		if (mount_holds_data(&mounts[count]))
			unmount(&mounts[count], container);
	}
	if (container)
		(void)sync_disks(true);
	if (!container)
		flush_block_devices();
}

void filesystems_end(void)
{
	bool container = platform() == PLATFORM_CONTAINER;
	uint64_t limit = END_US;
	uint64_t deadline;
	size_t count;
	pid_t pid;

	if (TEST_BUILD)
		return;
	count = read_mounts();
	if (has_disks(container))
		limit = DISKS_END_US;
	else if (!holds_data(count))
		return;
	deadline = clock_now() + limit;
	/*
	 * In a child, because these calls wait for ever on a server that does not answer, and nothing interrupts them.
	 */
	pid = fork();
	if (pid <= 0) {
		unmount_all(count, container);
		if (pid == 0)
			_exit(0);
		return;
	}
	for (;;) {
		struct pollfd wait = {.fd = signals_fd(), .events = POLLIN};

		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		if (clock_now() >= deadline) {
			log_line("sync and unmount took more than %u s; ending without them",
				 (unsigned)(limit / MICROSECONDS_PER_SECOND));
			return;
		}
		(void)poll(&wait, 1, clock_poll_timeout(deadline));
		signals_discard();
	}
}
