/*
 * remove PATH RECURSIVE FORCE: removes a file, a link or an empty directory. With RECURSIVE also what is in a directory,
 * with FORCE nothing need be there.
 *
 * It follows no link on its way down, and enters no mount: the kernel refuses to remove a mount point, which is tried
 * before a directory is entered. The way back up is "..", so that any depth takes one descriptor. Others may move a
 * directory away meanwhile, so what is there has to be the directory that it came from.
 */
#include "builtins/builtins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DEPTH 32768

struct identity {
	dev_t device;
	ino_t inode;
};

/* The directories above the one that is being emptied. Memory is taken as they are written. */
static struct identity above[MAX_DEPTH];
static int depth;

enum removal { REMOVED, NOT_EMPTY };

/* `path` is what the host asked for, for reports. */
static enum removal remove_one(int directory, const char *name, const char *path)
{
	if (unlinkat(directory, name, 0) == 0 || errno == ENOENT)
		return REMOVED;
	if (errno != EISDIR)
		builtin_fail(errno, "unlink(%s) in %s", name, path);
	if (unlinkat(directory, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return REMOVED;
	if (errno != ENOTEMPTY && errno != EEXIST)
		builtin_fail(errno, "rmdir(%s) in %s", name, path);
	return NOT_EMPTY;
}

static struct identity identify(int directory, const char *path)
{
	struct stat status;

	if (fstat(directory, &status) < 0)
		builtin_fail(errno, "fstat(below %s)", path);
	return (struct identity){.device = status.st_dev, .inode = status.st_ino};
}

static DIR *enter(int from, const char *name, const char *path)
{
	int fd = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL)
		builtin_fail(errno, "open(%s) in %s", name, path);
	return directory;
}

static DIR *go_down(DIR *directory, const char *name, const char *path)
{
	DIR *below;

	if (depth == MAX_DEPTH)
		builtin_fail(ENAMETOOLONG, "remove(%s): more than %d levels", path, MAX_DEPTH);
	above[depth++] = identify(dirfd(directory), path);
	below = enter(dirfd(directory), name, path);
	(void)closedir(directory);
	return below;
}

static DIR *go_up(DIR *directory, const char *path)
{
	DIR *parent = enter(dirfd(directory), "..", path);
	struct identity found = identify(dirfd(parent), path);

	(void)closedir(directory);
	depth--;
	if (found.device != above[depth].device || found.inode != above[depth].inode)
		builtin_fail(ESTALE, "remove(%s): a directory was moved meanwhile", path);
	return parent;
}

/* Removes entries up to the first directory that is not empty. Returns its name, or NULL if nothing is left. */
static const char *remove_entries(DIR *directory, const char *path)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_one(dirfd(directory), entry->d_name, path) == NOT_EMPTY)
			return entry->d_name;
	}
	if (errno != 0)
		builtin_fail(errno, "readdir(below %s)", path);
	return NULL;
}

static void empty(const char *path)
{
	DIR *directory = enter(AT_FDCWD, path, path);

	for (;;) {
		const char *name = remove_entries(directory, path);

		if (name != NULL) {
			directory = go_down(directory, name, path);
		} else if (depth > 0) {
			/* It is read from its start again, and the directory that is empty now goes first. */
			directory = go_up(directory, path);
		} else {
			(void)closedir(directory);
			return;
		}
	}
}

static void require_one(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		builtin_fail(errno, "remove(%s)", path);
}

void builtin_remove(char **argv)
{
	const char *path = argv[0];
	bool recursive = builtin_flag(argv[1]);

	if (!builtin_flag(argv[2]))
		require_one(path);
	while (remove_one(AT_FDCWD, path, ".") == NOT_EMPTY) {
		if (!recursive)
			builtin_fail(ENOTEMPTY, "rmdir(%s)", path);
		empty(path);
	}
}
