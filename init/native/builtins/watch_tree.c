#include "builtins/watch_tree.h"

#include "builtins/builtins.h"
#include "builtins/component.h"
#include "builtins/output.h"
#include "builtins/walk.h"
#include "builtins/watched.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static int inotify;
static uint32_t changes;
static void (*tell)(const char *path);
/* The root is opened again for each change, since a descriptor would keep its file system from being unmounted. */
static char root_path[PATH_MAX];
static struct stat root;
static bool have_left;

/* What was seen before is told first. */
static _Noreturn void fail(int error)
{
	output_flush();
	builtin_fail(error, "watch(%s)", root_path);
}

/* What this user may not see, and what is gone or moved, is left out. Anything else is missing: the host is told. */
static void leave_out(void)
{
	switch (errno) {
	case EACCES:
	case EPERM:
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EOPNOTSUPP:
		return;
	default:
		tell(NULL);
	}
}

const char *watch_tree_path(int watch, const char *name)
{
	const struct watched *directory = watched_find(watch);
	const char *path = NULL;

	if (directory != NULL && (name[0] != '\0' || directory->above == NO_DIRECTORY)) {
		path = watched_path(watch, name);
		if (path == NULL)
			leave_out();
	}
	return path;
}

static bool says_nothing(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && (system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC);
}

/* Watches a directory by its descriptor. Returns -1 if this user may not, or nothing is told there. */
static int add_watch(int fd)
{
	int watch = -1;
	int error;

	errno = EOPNOTSUPP;
	if (!says_nothing(fd) && fchdir(fd) == 0)
		watch = inotify_add_watch(inotify, ".", changes | IN_ONLYDIR);
	error = errno;
	/* Where a process is a directory does not go. */
	if (chdir("/") < 0)
		fail(errno);
	if (watch < 0 && error == ENOSPC)
		fail(EMFILE);
	errno = error;
	return watch;
}

/* Opens a directory with O_PATH. Returns -1 if it is not where it was. */
static int open_directory(int watch)
{
	const struct watched *directory = watched_find(watch);
	const char *path = "";
	struct stat found;
	int from;
	int fd = -1;

	if (directory != NULL && directory->above != NO_DIRECTORY)
		path = watched_path(directory->above, directory->name);
	if (directory == NULL || path == NULL)
		return -1;
	from = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* If it was removed, its watch ends. If it was moved, directories are missing from now on. */
	if (from < 0 || fstat(from, &found) < 0 || found.st_dev != root.st_dev || found.st_ino != root.st_ino)
		errno = ESTALE;
	else
		fd = walk_open(from, path, strlen(path));
	if (fd < 0)
		leave_out();
	if (from >= 0)
		(void)close(from);
	if (fd < 0 || add_watch(fd) == watch)
		return fd;
	(void)close(fd);
	return -1;
}

/* Returns whether it is a directory of which nothing was told. */
static bool add_below(int above, int directory, const char *name)
{
	bool is_new = false;
	int watch = -1;
	int fd = -1;

	if (watched_path(above, name) != NULL)
		fd = openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		watch = add_watch(fd);
	if (watch < 0) {
		leave_out();
	} else if (!watched_is_above(watch, above)) {
		/* Else it is mounted below itself. */
		is_new = watched_find(watch) == NULL;
		if (!watched_put(watch, above, name))
			fail(errno);
	}
	if (fd >= 0)
		(void)close(fd);
	return is_new;
}

static void list_entries(int watch, int fd, DIR *directory, bool tells)
{
	struct watched *listed = watched_find(watch);
	bool is_new = listed->is_new;

	listed->is_unlisted = listed->is_new = false;
	for (;;) {
		const struct dirent *entry;
		const char *path;
		bool is_told = is_new;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			break;
		if (component_is_dots(entry->d_name))
			continue;
		if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
			is_told |= add_below(watch, fd, entry->d_name);
		path = tells && is_told ? watch_tree_path(watch, entry->d_name) : NULL;
		if (path != NULL)
			tell(path);
	}
	if (errno != 0)
		leave_out();
}

/* Returns false if it is not where it was. Then it is listed when it is found again. */
static bool list(int watch, bool tells)
{
	int fd = open_directory(watch);
	int readable = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = readable < 0 ? NULL : fdopendir(readable);

	if (directory != NULL) {
		list_entries(watch, fd, directory, tells);
		(void)closedir(directory);
	} else if (fd >= 0) {
		leave_out();
	}
	if (fd >= 0)
		(void)close(fd);
	return directory != NULL;
}

/* Lists every directory that is still to be listed, and what is found in it. */
static void list_all(bool tells)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < watched_count; i++)
			again |= watched_all[i].is_unlisted && list(watched_all[i].watch, tells);
	}
}

void watch_tree_start(int new_inotify, uint32_t new_changes, const char *path, void (*new_tell)(const char *path))
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int watch;

	inotify = new_inotify;
	changes = new_changes;
	tell = new_tell;
	if (fd < 0 || fstat(fd, &root) < 0 || fchdir(fd) < 0 || getcwd(root_path, sizeof(root_path)) == NULL)
		builtin_fail(errno, "open(%s)", path);
	watch = add_watch(fd);
	if (watch < 0 || !watched_put(watch, NO_DIRECTORY, ""))
		builtin_fail(errno, "inotify_add_watch(%s)", path);
	(void)close(fd);
	list_all(false);
}

void watch_tree_add(int watch, const char *name)
{
	int fd = open_directory(watch);

	if (fd >= 0) {
		(void)add_below(watch, fd, name);
		(void)close(fd);
	}
	list_all(true);
}

void watch_tree_take(int watch, const char *name)
{
	for (size_t i = 0; i < watched_count; i++) {
		struct watched *directory = &watched_all[i];
		int fd;

		if (directory->above != watch || strcmp(directory->name, name) != 0)
			continue;
		/* Another one may have come meanwhile, of which was told already, as when two are exchanged. */
		fd = open_directory(directory->watch);
		if (fd >= 0) {
			(void)close(fd);
			continue;
		}
		directory->above = HAS_LEFT;
		have_left = true;
	}
}

bool watch_tree_end(int watch)
{
	struct watched *directory = watched_find(watch);
	bool is_root = directory != NULL && directory->above == NO_DIRECTORY;

	if (directory != NULL)
		watched_drop(directory);
	return !is_root;
}

/* Ends the watch of what is not in the tree. Its directory may be gone already. */
static void drop_lost(bool was_renewed)
{
	for (size_t i = watched_count; i-- > 0;) {
		struct watched *directory = &watched_all[i];
		bool is_in =
			directory->above == NO_DIRECTORY || watched_path(directory->above, directory->name) != NULL;

		if (is_in && (directory->is_found || !was_renewed))
			continue;
		(void)inotify_rm_watch(inotify, directory->watch);
		watched_drop(directory);
	}
	have_left = false;
}

void watch_tree_forget(void)
{
	int waiting = 0;

	if (have_left && ioctl(inotify, FIONREAD, &waiting) == 0 && waiting == 0)
		drop_lost(false);
}

void watch_tree_renew(void)
{
	for (size_t i = 0; i < watched_count; i++)
		watched_all[i].is_unlisted = watched_all[i].is_found = watched_all[i].above == NO_DIRECTORY;
	list_all(false);
	drop_lost(true);
}
