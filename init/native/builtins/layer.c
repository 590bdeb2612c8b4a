/*
 * layer PATH: writes the record of each entry below the upper layer of an overlay, of a directory before those that are
 * in it, and after those one with an empty name.
 *
 * What overlayfs keeps in attributes stands where a link leads to: of a directory, its other name in the lower layer,
 * or "." if it hides the one there. A whiteout has nothing but its name.
 * https://docs.kernel.org/filesystems/overlayfs.html
 */
#include "builtins/builtins.h"
#include "builtins/entry.h"
#include "builtins/entry_names.h"
#include "builtins/levels.h"
#include "builtins/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static struct levels levels;

static _Noreturn void fail(const char *name)
{
	levels_fail(&levels, errno, "read", name);
}

/* The value of an attribute of overlayfs; 0: there is none that the kernel would take. */
static size_t read_mark(int fd, const char *path, const char *mark, char *value, size_t size)
{
	ssize_t length = fgetxattr(fd, mark, value, size);

	if (length < 0 && errno != ENODATA && errno != EOPNOTSUPP && errno != ERANGE)
		fail(path);
	return length < 0 ? 0 : (size_t)length;
}

/* How a directory is merged with that of the lower layer; a size of 0: by its name. */
static size_t read_origin(int fd, const char *path, char origin[PATH_MAX])
{
	if (read_mark(fd, path, "trusted.overlay.opaque", origin, 1) == 1 && origin[0] == 'y') {
		origin[0] = '.';
		return 1;
	}
	return read_mark(fd, path, "trusted.overlay.redirect", origin, PATH_MAX);
}

/* What a program inside has removed meanwhile is not there. What has become another file is not to be left out. */
static void fail_unless_gone(const char *name)
{
	if (errno != ENOENT || levels.count == 0)
		fail(name);
}

/* `found`: what is written of it, of all but the topmost. */
static void enter(int directory, const char *path, const struct stat *found)
{
	int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char origin[PATH_MAX];

	if (fd < 0) {
		fail_unless_gone(path);
		return;
	}
	if (found != NULL)
		entry_put(path, found, origin, read_origin(fd, path, origin));
	levels_enter(&levels, fd, path);
	levels_keep(&levels, entry_names_read(&levels));
}

static void write_file(int directory, const char *name, const struct stat *found)
{
	char target[PATH_MAX];
	ssize_t size = S_ISLNK(found->st_mode) ? readlinkat(directory, name, target, sizeof(target)) : 0;

	if (size < 0) {
		fail_unless_gone(name);
		return;
	}
	entry_put(name, found, target, (size_t)size);
}

static void write_entry(int directory, const char *name)
{
	struct stat found;

	if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) < 0) {
		fail_unless_gone(name);
		return;
	}
	if (S_ISDIR(found.st_mode))
		enter(directory, name, &found);
	else if (S_ISCHR(found.st_mode) && found.st_rdev == 0)
		entry_write_unknown(name);
	else
		write_file(directory, name, &found);
}

void builtin_layer(char **argv)
{
	enter(AT_FDCWD, argv[0], NULL);
	while (levels.count > 0) {
		struct entry_names *names = levels_top(&levels)->kept;
		const char *name = entry_names_next(names);

		if (name != NULL) {
			write_entry(levels_top(&levels)->fd, name);
			continue;
		}
		free(names);
		entry_write_unknown("");
		levels_leave(&levels);
	}
	output_flush();
}
