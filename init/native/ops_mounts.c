/* Operations on the tree of mounts. */
#include "operations.h"

#include "initramfs.h"
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* An initramfs is shallow; a deeper directory is left alone. */
#define MAX_DEPTH 24

/*
 * Emptying it takes some ten milliseconds, which are worth more while an application starts than later, and a short one does not miss
 * the memory.
 */
#define EMPTY_AFTER_US (1 * MICROSECONDS_PER_SECOND)

/* The old root, whose files are memory that the application should have. */
static int initramfs = -1;
static uint64_t initramfs_due;

int op_mount(struct call *call)
{
	struct reader *from = &call->arguments;
	const char *source = read_path(from);
	const char *target = read_path(from);
	const char *type = read_str(from);
	uint32_t flags = read_u32(from);
	const char *data = read_str(from);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	/* Not every file system takes an empty string for "no options". */
	if (mount(source, target, type, flags, data[0] == '\0' ? NULL : data) < 0)
		return call_fail(call, errno, "mount(%s, %s, %s)", source, target, type);
	return 0;
}

int op_unmount(struct call *call)
{
	const char *path = read_path(&call->arguments);
	uint32_t flags = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (umount2(path, (int)flags) < 0)
		return call_fail(call, errno, "umount(%s)", path);
	return 0;
}

int op_sync(struct call *call)
{
	int error = call_arguments(call);

	if (error == 0)
		sync();
	return error;
}

/* Removes what is in a directory, on its own file system only. Takes the descriptor. */
static void empty_directory(int fd, dev_t device, int depth)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	struct stat status;

	if (directory == NULL) {
		close_fd(&fd);
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
			(void)unlinkat(fd, name, 0); /* only memory is at stake */
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

	if (fd < 0 || time_now() < initramfs_due)
		return;
	initramfs = -1;
	if (fstat(fd, &status) < 0)
		close_fd(&fd);
	else
		empty_directory(fd, status.st_dev, 0);
}

/* Whether a root is one of this init's own, and not somebody's files. */
static bool is_initramfs(int root)
{
	struct statfs filesystem;

	return place() == PLACE_MACHINE && fstatfs(root, &filesystem) == 0 &&
	       ((unsigned long)filesystem.f_type == RAMFS_MAGIC || (unsigned long)filesystem.f_type == TMPFS_MAGIC);
}

/* The initramfs cannot be unmounted, so the new root is moved over it. */
static int cover_root(struct call *call, const char *path)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return call_fail(call, errno, "mount(%s, /, MS_MOVE)", path);
	if (chroot(".") < 0)
		return call_fail(call, errno, "chroot(%s)", path);
	return 0;
}

/*
 * The root that a container was started with is a mount like any other. It goes away altogether, and so does what is mounted below it:
 * no application that may call chroot(2) finds its way there.
 */
static int replace_root(struct call *call, const char *path)
{
	/* The old root comes to lie on the new one, at the place where this process is. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return call_fail(call, errno, "pivot_root(%s)", path);
	if (umount2(".", MNT_DETACH) < 0)
		return call_fail(call, errno, "umount(the root before %s)", path);
	return 0;
}

int op_switch_root(struct call *call)
{
	const char *path = read_path(&call->arguments);
	int error = call_arguments(call);
	int old_root;

	if (error != 0)
		return error;
	old_root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (old_root < 0)
		return call_fail(call, errno, "open(/)");
	if (chdir(path) < 0)
		error = call_fail(call, errno, "chdir(%s)", path);
	else
		error = place() == PLACE_CONTAINER ? replace_root(call, path) : cover_root(call, path);
	if (error == 0 && chdir("/") < 0)
		error = call_fail(call, errno, "chdir(/)");
	if (error != 0) {
		close_fd(&old_root);
		(void)!chdir("/");
		return error;
	}
	if (initramfs < 0 && is_initramfs(old_root)) {
		initramfs = old_root;
		initramfs_due = time_now() + EMPTY_AFTER_US;
	} else {
		close_fd(&old_root);
	}
	return 0;
}
