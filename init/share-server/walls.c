#include "walls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The new root is mounted here first. It hides the directory from this mount namespace only. */
#define STAGE "/proc"

#define OPTIONS_OF_ROOT "mode=755,size=64k,nr_inodes=64"

/* Where virtiofsd and its libraries may be. A symbolic link stays one. */
static const char *const PROGRAMS[] = {"usr", "lib", "lib32", "lib64", "libx32", "nix", "gnu"};

#define COUNT (sizeof(PROGRAMS) / sizeof(PROGRAMS[0]))

/* A detached copy of the mount at `path`; with AT_RECURSIVE, also of those below. -1 with errno. */
static int clone_tree(int from, const char *path, unsigned int recursive, struct mount_attr attributes)
{
	int tree = (int)syscall(SYS_open_tree, from, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);

	if (tree < 0)
		return -1;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof(attributes)) == 0)
		return tree;
	(void)close(tree);
	return -1;
}

static int attach(int tree, int root, const char *name)
{
	int result = mkdirat(root, name, 0755);

	if (result == 0)
		result = (int)syscall(SYS_move_mount, tree, "", root, name, MOVE_MOUNT_F_EMPTY_PATH);
	(void)close(tree);
	return result;
}

/* The host's directory or symbolic link `name`, below /. Nothing if there is none. */
static int add_program(int slash, int root, const char *name)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(slash, name, target, sizeof(target) - 1);

	if (length > 0) {
		target[length] = '\0';
		return symlinkat(target, root, name);
	}
	if (errno == ENOENT)
		return 0;
	const struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,
					      .propagation = MS_PRIVATE};
	int tree = clone_tree(slash, name, 0, attributes);

	/* In a user namespace the kernel refuses to uncover what the mounts below cover. */
	if (tree < 0 && errno == EINVAL)
		tree = clone_tree(slash, name, AT_RECURSIVE, attributes);
	return tree < 0 ? -1 : attach(tree, root, name);
}

/* What virtiofsd itself needs. */
static const char *add_programs(int slash, int root)
{
	for (size_t at = 0; at < COUNT; at += 1)
		if (add_program(slash, root, PROGRAMS[at]) != 0)
			return PROGRAMS[at];
	return mkdirat(root, "proc", 0755) == 0 ? NULL : "mkdir(proc)";
}

static const char *make_root(int slash, int share, bool bare)
{
	if (mount("share-server", STAGE, "tmpfs", MS_NODEV | MS_NOSUID, OPTIONS_OF_ROOT) != 0)
		return "mount(tmpfs)";
	int root = open(STAGE, O_DIRECTORY | O_PATH | O_CLOEXEC);

	if (root < 0)
		return "open(tmpfs)";
	const char *failed = bare ? NULL : add_programs(slash, root);

	if (failed != NULL)
		return failed;
	if (attach(share, root, WALLED_SHARE + 1) != 0)
		return "the share";
	(void)close(root);
	return NULL;
}

const char *walls_make(const char *directory, const struct walls *walls, bool *made)
{
	*made = unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
	if (!*made)
		return errno == EPERM ? NULL : "unshare";
	/* Nothing that is mounted here comes back to the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
		return "mount(MS_SLAVE)";
	int slash = open("/", O_DIRECTORY | O_PATH | O_CLOEXEC);

	if (slash < 0)
		return "open(/)";
	/* What the host mounts later below the share does not appear in it: it would come without these attributes. */
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
					.propagation = MS_PRIVATE};

	if (walls->read_only)
		attributes.attr_set |= MOUNT_ATTR_RDONLY;
	int share = clone_tree(AT_FDCWD, directory, AT_RECURSIVE, attributes);

	if (share < 0)
		return directory;
	const char *failed = make_root(slash, share, walls->bare);

	(void)close(slash);
	return failed;
}

const char *walls_enter(const struct walls *walls)
{
	if (chdir(STAGE) != 0)
		return "chdir";
	/*
	 * Read-only: virtiofsd keeps a descriptor of it from outside of its chroot, and user 0 needs no capability to write
	 * to /proc/sys. It reads nr_open and cap_last_cap there.
	 */
	if (!walls->bare && mount("proc", "proc", "proc", MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, NULL) != 0)
		return "mount(proc)";
	/* The old root comes on top of the new one, and is detached from there. */
	if (syscall(SYS_pivot_root, ".", ".") != 0)
		return "pivot_root";
	if (umount2(".", MNT_DETACH) != 0)
		return "umount2";
	/* It need not be written to any more. */
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID, NULL) != 0)
		return "mount(MS_REMOUNT)";
	return chdir("/") == 0 ? NULL : "chdir";
}
