/* Operations on the mount tree. */
#include "ops/operations.h"

#include "ops/initramfs.h"
#include "util/fd.h"
#include "util/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For mount(2) they are no combination. */
#define MOVE_OVER_NO_LINK (MS_MOVE | MS_NOSYMFOLLOW)

/* mount(2) follows a link at the target, move_mount(2) (Linux 5.2) does not. */
static int mount_or_move(const char *source, const char *target, const char *type, uint32_t flags, const char *data)
{
	if (flags == MOVE_OVER_NO_LINK)
		return (int)syscall(SYS_move_mount, AT_FDCWD, source, AT_FDCWD, target, 0);
	/* Not every file system takes an empty string for "no options". */
	return mount(source, target, type, flags, data[0] == '\0' ? NULL : data);
}

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
	if (mount_or_move(source, target, type, flags, data) < 0)
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

/* VS_KEPT_FD may be another descriptor otherwise. */
static bool is_kept;

/*
 * The mount with the directory may be gone from all paths then. Only a process with the capabilities of this one may
 * follow a link of /proc/1/fd: ptrace(2), PTRACE_MODE_READ_FSCREDS.
 */
int op_keep(struct call *call)
{
	const char *path = read_path(&call->arguments);
	int error = call_arguments(call);
	int kept;
	int fd;

	if (error != 0)
		return error;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Not dup3(2), which would close what has the number. */
	kept = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, VS_KEPT_FD);
	if (kept != VS_KEPT_FD && kept != VS_KEPT_SECOND_FD) {
		error = call_fail(call, kept < 0 ? errno : EBUSY, "keep(%s)", path);
		fd_close(&kept);
	}
	is_kept = is_kept || (error == 0 && kept == VS_KEPT_FD);
	fd_close(&fd);
	return error;
}

/*
 * syncfs(2) says nothing of a journal that was aborted before, by a commit that nobody waited for: what it had to write
 * is lost. Then the next change ends writing. It may succeed itself, and the one behind it fails.
 */
static int find_lost_writes(struct call *call, int fd)
{
	struct stat entry;
	struct statfs system;

	if (fstatfs(fd, &system) < 0 || fstat(fd, &entry) < 0)
		return call_fail(call, errno, "stat(what is kept)");
	/* A directory of the host, which has no journal here. */
	if (system.f_type != EXT4_SUPER_MAGIC)
		return 0;
	for (int times = 0; times < 2; times++)
		if (fchmod(fd, entry.st_mode & 07777) < 0)
			return call_fail(call, errno, "write(what is kept)");
	return 0;
}

static int sync_kept(struct call *call, int fd)
{
	if (syncfs(fd) < 0)
		return call_fail(call, errno, "syncfs(what is kept)");
	return find_lost_writes(call, fd);
}

/* sync(2) has no errors: what cannot be written of what is kept would be lost without a word. */
int op_sync(struct call *call)
{
	int error = call_arguments(call);
	int fd;

	if (error != 0)
		return error;
	sync();
	if (!is_kept)
		return 0;
	fd = openat(VS_KEPT_FD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		error = call_fail(call, errno, "open(what is kept)");
	else
		error = sync_kept(call, fd);
	fd_close(&fd);
	return error;
}

/* The kernel cannot unmount the initramfs, so the new root moves over it. */
static int cover_root(struct call *call, const char *path)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return call_fail(call, errno, "mount(%s, /, MS_MOVE)", path);
	if (chroot(".") < 0)
		return call_fail(call, errno, "chroot(%s)", path);
	return 0;
}

/*
 * A container's first root is an ordinary mount. It goes away together with all mounts below, so that no application
 * that may call chroot(2) finds a way back.
 */
static int replace_root(struct call *call, const char *path)
{
	/* The old root now lies on top of the new one, at the working directory. */
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
		error = platform() == PLATFORM_CONTAINER ? replace_root(call, path) : cover_root(call, path);
	if (error == 0 && chdir("/") < 0)
		error = call_fail(call, errno, "chdir(/)");
	if (error != 0) {
		fd_close(&old_root);
		(void)!chdir("/");
		return error;
	}
	initramfs_discard(old_root);
	return 0;
}
