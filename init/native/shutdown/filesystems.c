#include "shutdown/filesystems.h"

#include "boot/kernel_dirs.h"
#include "shutdown/mounts.h"
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

#define END_US (10 * MICROSECONDS_PER_SECOND)
#define TABLE_BYTES (256 * 1024)
#define MAX_MOUNTS 1024

static char table[TABLE_BYTES];
static struct mount_entry mounts[MAX_MOUNTS];

/* The number of mounts of the table, oldest first. */
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
	/* It is not only the container's: to make it read-only would make it so for everyone. */
	if (container)
		return;
	if (mount(NULL, entry->target, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0)
		return;
	log_debug("%s (%s) stays as it is: %s", entry->target, entry->type, strerror(errno));
}

/* The block devices as the kernel lists them, of the kept /sys. NULL where it cannot be told. */
static DIR *open_block_devices(void)
{
	int fd = kernel_dirs_open_block_devices();
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL)
		fd_close(&fd);
	return directory;
}

/* The next name of a directory that is not "." or ".."; NULL at its end. */
static const char *next_name(DIR *directory)
{
	const struct dirent *entry;

	do {
		entry = readdir(directory);
	} while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry == NULL ? NULL : entry->d_name;
}

/* Block devices may have been written to without a file system. True where it cannot be told. */
static bool has_block_devices(void)
{
	DIR *directory = open_block_devices();
	bool found = directory == NULL || next_name(directory) != NULL;

	if (directory != NULL)
		(void)closedir(directory);
	return found;
}

/*
 * sync(2) hands what was written to a device itself over to the device, and does not tell it to keep it. QEMU may be killed as soon as the host
 * has the exit status, with its own caches.
 */
static void flush_block_devices(void)
{
	DIR *directory = open_block_devices();
	const char *name;

	while (directory != NULL && (name = next_name(directory)) != NULL) {
		int fd = kernel_dirs_open_device(name, O_RDONLY | O_NONBLOCK);

		/* A device without a medium cannot be opened, and one that is read-only has nothing to keep. */
		if (fd >= 0 && fsync(fd) < 0 && errno != EROFS)
			log_line("fsync(/dev/%s): %s", name, strerror(errno));
		fd_close(&fd);
	}
	if (directory != NULL)
		(void)closedir(directory);
}

/* A container has no kernel of its own to ask; its disks are those that have a node in /dev. Writes out each; false where there is none. */
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

static bool anything_to_lose(size_t count, bool container)
{
	while (count-- > 0) {
		if (mount_holds_data(&mounts[count]))
			return true;
	}
	return container ? sync_disks(false) : has_block_devices();
}

static void unmount_all(size_t count, bool container)
{
	/* Of a container it would be the whole host. What belongs to the container is synced when it is unmounted. */
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
	uint64_t deadline = clock_now() + END_US;
	size_t count;
	pid_t pid;

	if (TEST_BUILD)
		return;
	count = read_mounts();
	if (!anything_to_lose(count, container))
		return;
	/* A process of its own, because a server that does not answer makes these calls wait for ever, and nothing interrupts them. */
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
			log_line("sync and unmount took more than %d s; going on without",
				 END_US / MICROSECONDS_PER_SECOND);
			return;
		}
		(void)poll(&wait, 1, clock_poll_timeout(deadline));
		signals_discard();
	}
}
