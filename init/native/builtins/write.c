/*
 * write PATH MODE APPEND: writes stdin to a file.
 *
 * With APPEND, and for a mount and what is no regular file, it writes as bytes come. Else a file of another name in the same
 * directory gets the bytes, and takes the place of PATH at the end of stdin. SIGTERM ends it before that, and leaves
 * PATH as it was.
 */
#include "builtins/attributes.h"
#include "builtins/builtins.h"
#include "builtins/parent.h"
#include "builtins/unfinished.h"

#include "shared/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

static void copy_stdin(int fd, const char *path)
{
	static char piece[PIECE_BYTES];

	for (;;) {
		ssize_t size = read(STDIN_FILENO, piece, sizeof(piece));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			builtin_fail(errno, "read(stdin)");
		if (size == 0)
			return;
		if (write_all(fd, piece, (size_t)size) < 0)
			builtin_fail(errno, "write(%s)", path);
	}
}

static void close_written(int fd, const char *path)
{
	if (close(fd) < 0)
		builtin_fail(errno, "close(%s)", path);
}

static void write_in_place(const char *path, int flags, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, mode);

	if (fd < 0)
		builtin_fail(errno, "open(%s)", path);
	copy_stdin(fd, path);
	close_written(fd, path);
}

/* Where the file system keeps modes. */
static void set_mode(int fd, mode_t mode, const char *path)
{
	if (fchmod(fd, mode) < 0 && !attributes_are_refused(errno))
		builtin_fail(errno, "fchmod(%s)", path);
}

/*
 * Gives the new file the owner, the group and the mode of the old one, as far as this user may. Bits that act as the
 * owner are not for another one, and what the group may do is not for another group.
 */
static void take_over(int fd, const struct stat *old, const char *path)
{
	mode_t mode = old->st_mode & 07777;

	if (fchown(fd, old->st_uid, old->st_gid) < 0) {
		mode &= 0777;
		if (fchown(fd, (uid_t)-1, old->st_gid) < 0)
			mode &= ~(mode_t)S_IRWXG;
	}
	set_mode(fd, mode, path);
}

/* @param old NULL: there is no such file */
static void replace(const char *path, mode_t mode, const struct stat *old)
{
	const char *name;
	int parent, fd;

	/* A file that this user may not write to is not replaced either. */
	if (old != NULL && access(path, W_OK) < 0)
		builtin_fail(errno, "open(%s)", path);
	parent = parent_open(path, &name);
	if (parent < 0)
		builtin_fail(errno, "open(%s)", path);
	fd = unfinished_open(parent);
	if (fd < 0)
		builtin_fail(errno, "open(a temporary file beside %s)", path);
	copy_stdin(fd, path);
	/* Only now: writing takes setuid and setgid away. */
	if (old != NULL)
		take_over(fd, old, path);
	else
		set_mode(fd, mode, path);
	close_written(fd, path);
	if (unfinished_rename(name) < 0)
		builtin_fail(errno, "rename(%s)", path);
}

/* Nothing can take the place of a mount. Kernels before 5.8 do not say. */
static bool is_mount(const char *path)
{
	struct statx status;

	return statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, 0, &status) == 0 &&
	       (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

void builtin_write(char **argv)
{
	static char resolved[PATH_MAX];
	const char *path = argv[0];
	mode_t mode = builtin_number(argv[1], BUILTIN_MODES);
	bool append = builtin_flag(argv[2]);
	struct stat status;

	/* The mode is what the host asks for. */
	(void)umask(0);
	unfinished_end_on_terminate();
	if (append) {
		write_in_place(path, O_APPEND | O_CREAT, mode);
		return;
	}
	if (lstat(path, &status) < 0) {
		if (errno != ENOENT)
			builtin_fail(errno, "open(%s)", path);
		replace(path, mode, NULL);
		return;
	}
	/* Where a link leads is replaced, not the link. */
	if (S_ISLNK(status.st_mode)) {
		if (realpath(path, resolved) == NULL || stat(resolved, &status) < 0)
			builtin_fail(errno, "open(%s)", path);
		path = resolved;
	}
	if (S_ISREG(status.st_mode) && !is_mount(path))
		replace(path, mode, &status);
	else
		write_in_place(path, O_TRUNC, 0);
}
