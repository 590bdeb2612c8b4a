/*
 * remove PATH RECURSIVE FORCE: removes a file, a link or an empty directory. With RECURSIVE also what is in a directory,
 * with FORCE nothing need be there.
 *
 * It follows no link on its way down, and enters no mount: the kernel refuses to remove a mount point, which is tried
 * before a directory is entered. The way back up is "..", so that any depth takes two descriptors. Others may move a
 * directory away meanwhile, so what is there has to be the directory that it came from. They may also fill a directory
 * again as fast as it is emptied, so that is done only so often.
 */
#include "builtins/builtins.h"
#include "builtins/component.h"
#include "builtins/parent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 32768
/* How often directories are emptied that others have filled again. */
#define MAX_REPEATS 64

struct identity {
	dev_t device;
	ino_t inode;
};

/* The directories above the one that is being emptied. Memory is taken as they are written. */
static struct identity above[MAX_DEPTH];
static int depth;
/* The directory that was left last, and was empty then. */
static struct identity emptied;
static int repeats;

enum removal { REMOVED, NOT_EMPTY };

/* `path` is what the host asked for, for reports, as below. */
static enum removal remove_one(int directory, const char *name, const char *path)
{
	if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
		return REMOVED;
	if (errno != EISDIR)
		builtin_fail(errno, "unlink(%s), in remove(%s)", name, path);
	if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return REMOVED;
	if (errno != ENOTEMPTY && errno != EEXIST)
		builtin_fail(errno, "rmdir(%s), in remove(%s)", name, path);
	return NOT_EMPTY;
}

static struct identity identify(int directory, const char *path)
{
	struct stat status;

	if (fstat(directory, &status) < 0)
		builtin_fail(errno, "fstat(below %s)", path);
	return (struct identity){.device = status.st_dev, .inode = status.st_ino};
}

static bool is_same(struct identity one, struct identity other)
{
	return one.device == other.device && one.inode == other.inode;
}

static DIR *enter(int from, const char *name, const char *path)
{
	int fd = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL)
		builtin_fail(errno, "open(%s), in remove(%s)", name, path);
	return directory;
}

/* Enters a directory to empty it. */
static DIR *enter_full(int from, const char *name, const char *path)
{
	DIR *directory = enter(from, name, path);

	if (is_same(identify(dirfd(directory), path), emptied) && ++repeats > MAX_REPEATS)
		builtin_fail(ENOTEMPTY, "rmdir(%s), in remove(%s)", name, path);
	return directory;
}

static DIR *go_down(DIR *directory, const char *name, const char *path)
{
	DIR *below;

	if (depth == MAX_DEPTH)
		builtin_fail(ENAMETOOLONG, "remove(%s): more than %d levels", path, MAX_DEPTH);
	above[depth++] = identify(dirfd(directory), path);
	below = enter_full(dirfd(directory), name, path);
	(void)closedir(directory);
	return below;
}

static void leave(DIR *directory, const char *path)
{
	emptied = identify(dirfd(directory), path);
	(void)closedir(directory);
}

static DIR *go_up(DIR *directory, const char *path)
{
	DIR *parent = enter(dirfd(directory), "..", path);

	leave(directory, path);
	depth--;
	if (!is_same(identify(dirfd(parent), path), above[depth]))
		builtin_fail(ESTALE, "remove(%s): a directory was moved meanwhile", path);
	return parent;
}

/* Removes entries up to the first directory that is not empty. Returns its name, or NULL if nothing is left. */
static const char *remove_entries(DIR *directory, const char *path)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(directory)) != NULL) {
		if (component_is_dots(entry->d_name))
			continue;
		if (remove_one(dirfd(directory), entry->d_name, path) == NOT_EMPTY)
			return entry->d_name;
	}
	if (errno != 0)
		builtin_fail(errno, "readdir(below %s)", path);
	return NULL;
}

static void empty(int parent, const char *name, const char *path)
{
	DIR *directory = enter_full(parent, name, path);

	for (;;) {
		const char *below = remove_entries(directory, path);

		if (below != NULL) {
			directory = go_down(directory, below, path);
		} else if (depth > 0) {
			/* It is read from its start again, and the directory that is empty now goes first. */
			directory = go_up(directory, path);
		} else {
			leave(directory, path);
			return;
		}
	}
}

/* Cuts the slashes behind the last name. What has one there is a directory, or is not removed. */
static void cut_slashes(char *path)
{
	size_t size = strlen(path);
	struct stat status;

	if (parent_cut_slashes(path) < size && lstat(path, &status) == 0 && !S_ISDIR(status.st_mode))
		builtin_fail(ENOTDIR, "remove(%s/)", path);
}

void builtin_remove(char **argv)
{
	char *path = argv[0];
	bool recursive = builtin_flag(argv[1]);
	bool force = builtin_flag(argv[2]);
	struct stat status;
	const char *name;
	int parent;

	cut_slashes(path);
	parent = parent_open(path, &name);
	if (parent == -1 || fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
		if (force && errno == ENOENT)
			return;
		builtin_fail(errno, "remove(%s)", path);
	}
	/* Their directory is never empty while it has these. */
	if (component_is_dots(name))
		builtin_fail(EINVAL, "remove(%s)", path);
	while (remove_one(parent, name, path) == NOT_EMPTY) {
		if (!recursive)
			builtin_fail(ENOTEMPTY, "rmdir(%s)", path);
		empty(parent, name, path);
	}
}
