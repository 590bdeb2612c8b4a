#include "ops/initramfs.h"

#include "util/clock.h"
#include "util/fd.h"
#include "util/platform.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* An initramfs is shallow; deeper directories are left alone. */
#define MAX_DEPTH 24

/*
 * Emptying it takes some 10 ms. They cost more while an application starts than later, and a short application does not
 * need the memory.
 */
#define EMPTY_AFTER_US (1 * MICROSECONDS_PER_SECOND)

/* The old root, whose files occupy memory that the application should have. */
static int initramfs = -1;
static uint64_t initramfs_due;

/* Removes everything in a directory, on its own file system only. Takes the descriptor. */
static void empty_directory(int fd, dev_t device, int depth)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	struct stat status;

	if (directory == NULL) {
		fd_close(&fd);
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		const char *name = entry->d_name;
		int child;

		if (name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0')))
			continue;
		if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || status.st_dev != device)
			continue;
		if (!S_ISDIR(status.st_mode)) {
			(void)unlinkat(fd, name, 0); /* a failure only wastes memory */
			continue;
		}
		child = depth < MAX_DEPTH ? openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
		if (child >= 0)
			empty_directory(child, device, depth + 1);
		(void)unlinkat(fd, name, AT_REMOVEDIR);
	}
	(void)closedir(directory);
}

uint64_t initramfs_deadline(void)
{
	return initramfs >= 0 ? initramfs_due : UINT64_MAX;
}

void initramfs_step(void)
{
	struct stat status;
	int fd = initramfs;

	if (fd < 0 || clock_now() < initramfs_due)
		return;
	initramfs = -1;
	if (fstat(fd, &status) < 0)
		fd_close(&fd);
	else
		empty_directory(fd, status.st_dev, 0);
}

/* Whether a root is this init's own in memory, and not a user's files. */
static bool is_initramfs(int root)
{
	struct statfs filesystem;

	return platform() == PLATFORM_MACHINE && fstatfs(root, &filesystem) == 0 &&
	       ((unsigned long)filesystem.f_type == RAMFS_MAGIC || (unsigned long)filesystem.f_type == TMPFS_MAGIC);
}

void initramfs_discard(int root)
{
	if (initramfs >= 0 || !is_initramfs(root)) {
		fd_close(&root);
		return;
	}
	initramfs = root;
	initramfs_due = clock_now() + EMPTY_AFTER_US;
}
