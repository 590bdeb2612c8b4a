/*
 * layer PATH: writes the record of each entry below the upper layer of an overlay, of a directory before those that are
 * in it, and after those one with an empty name.
 *
 * What overlayfs keeps in attributes stands where a link leads to: of a directory, its other name in the lower layer, or
 * "." if it hides the one there. A whiteout has nothing but its name.
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

/* How a directory is merged with that of the lower layer; a size of 0: by its name. */
static size_t read_origin(int fd, char origin[PATH_MAX])
{
	ssize_t size;

	if (fgetxattr(fd, "trusted.overlay.opaque", origin, 1) == 1 && origin[0] == 'y') {
		origin[0] = '.';
		return 1;
	}
	size = fgetxattr(fd, "trusted.overlay.redirect", origin, PATH_MAX);
	return size < 0 ? 0 : (size_t)size;
}

static void enter(int directory, const char *path)
{
	int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char origin[PATH_MAX];
	struct stat found;

	/* A program inside may have removed it meanwhile. */
	if (fd < 0 && levels.count > 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return;
	if (fd < 0 || fstat(fd, &found) < 0)
		levels_fail(&levels, errno, "open", path);
	if (levels.count > 0)
		entry_put(path, &found, origin, read_origin(fd, origin));
	levels_enter(&levels, fd, path);
	levels_keep(&levels, entry_names_read(&levels));
}

static void write_entry(int directory, const char *name)
{
	struct stat found;

	if (fstatat(directory, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISDIR(found.st_mode))
		enter(directory, name);
	else if (S_ISCHR(found.st_mode) && found.st_rdev == 0)
		entry_write_unknown(name);
	else
		(void)entry_write(directory, name, name, false);
}

void builtin_layer(char **argv)
{
	enter(AT_FDCWD, argv[0]);
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
