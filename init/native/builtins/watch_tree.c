#include "builtins/watch_tree.h"

#include "builtins/builtins.h"
#include "builtins/component.h"
#include "builtins/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifdef VS_TEST
#define MOST_DIRECTORIES 512
#else
#define MOST_DIRECTORIES 32768
#endif

#define NO_DIRECTORY 0
#define HAS_LEFT (-1)

/* A watch of inotify goes with its directory, whatever that is called. */
struct watched {
	int watch;
	/* The watch of the directory above, or NO_DIRECTORY: the root, or HAS_LEFT. */
	int above;
	/* Its entries are still to be listed. */
	bool is_unlisted;
	/* It was found when the tree was looked through again. */
	bool is_found;
	char *name;
};

/* Sorted by `watch`. */
static struct watched directories[MOST_DIRECTORIES];
static size_t count;
static int inotify;
static uint32_t changes;
static void (*tell)(const char *path);
/* The root is opened again for each change, since a descriptor would keep its file system from being unmounted. */
static char root_path[PATH_MAX];
static struct stat root;
static bool have_left;

/* Where it is, or where it would be. */
static size_t place_of(int watch)
{
	size_t low = 0;

	for (size_t high = count; low < high;) {
		size_t middle = (low + high) / 2;
		bool is_above = directories[middle].watch < watch;

		low = is_above ? middle + 1 : low;
		high = is_above ? high : middle;
	}
	return low;
}

static struct watched *find(int watch)
{
	size_t at = place_of(watch);

	return at < count && directories[at].watch == watch ? &directories[at] : NULL;
}

const char *watch_tree_path(int watch, const char *name)
{
	static char path[PATH_MAX];
	size_t at = sizeof(path) - 1;
	const struct watched *directory = find(watch);

	if (directory == NULL || (name[0] == '\0' && directory->above != NO_DIRECTORY))
		return NULL;
	while (directory != NULL && directory->above != HAS_LEFT) {
		size_t size = strlen(name);

		if (size + 1 > at)
			return NULL;
		at -= size;
		memcpy(path + at, name, size);
		if (directory->above == NO_DIRECTORY)
			return path + at;
		path[--at] = '/';
		name = directory->name;
		directory = find(directory->above);
	}
	return NULL;
}

/* Opens a directory with O_PATH. Returns -1 if it is not there any more. */
static int open_directory(int watch)
{
	const struct watched *directory = find(watch);
	const char *path = "";
	struct stat found;
	int from, fd;

	if (directory != NULL && directory->above != NO_DIRECTORY)
		path = watch_tree_path(directory->above, directory->name);
	if (directory == NULL || path == NULL)
		return -1;
	from = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || fstat(from, &found) < 0 || found.st_dev != root.st_dev || found.st_ino != root.st_ino)
		builtin_fail(ESTALE, "watch(%s)", root_path);
	fd = walk_open(from, path, strlen(path));
	(void)close(from);
	return fd;
}

static void put(int watch, int above, const char *name)
{
	struct watched *directory = find(watch);
	size_t at = place_of(watch);

	if (directory == NULL) {
		if (count == MOST_DIRECTORIES)
			builtin_fail(EMFILE, "watch(%s): more than %d directories", root_path, MOST_DIRECTORIES);
		directory = &directories[at];
		memmove(directory + 1, directory, (count++ - at) * sizeof(*directory));
		*directory = (struct watched){.watch = watch, .is_unlisted = true};
	}
	free(directory->name);
	directory->above = above;
	directory->is_found = true;
	directory->name = strdup(name);
	if (directory->name == NULL)
		builtin_fail(ENOMEM, "watch(%s)", root_path);
}

static void drop(struct watched *directory)
{
	free(directory->name);
	memmove(directory, directory + 1, (size_t)(&directories[--count] - directory) * sizeof(*directory));
}

static bool says_nothing(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && (system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC);
}

/* Watches a directory by its descriptor, which it closes. Returns -1 if this user may not, or nothing is told there. */
static int add_watch(int fd)
{
	int watch = -1;

	errno = EOPNOTSUPP;
	if (!says_nothing(fd) && fchdir(fd) == 0) {
		watch = inotify_add_watch(inotify, ".", changes | IN_ONLYDIR);
		if (watch < 0 && errno == ENOSPC)
			builtin_fail(EMFILE, "inotify_add_watch(%s)", root_path);
		/* Where a process is a directory does not go. */
		if (chdir("/") < 0)
			builtin_fail(errno, "chdir(/)");
	}
	(void)close(fd);
	return watch;
}

static void add_below(int above, int directory, const char *name)
{
	int fd = openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int watch;

	watch = fd < 0 ? -1 : add_watch(fd);
	if (watch < 0)
		return;
	put(watch, above, name);
	if (watch_tree_path(above, name) == NULL)
		builtin_fail(ENAMETOOLONG, "watch(%s): a directory in it", root_path);
}

static void list(int watch, bool tells)
{
	int fd = open_directory(watch);
	int readable = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = readable < 0 ? NULL : fdopendir(readable);
	const struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		const char *path = watch_tree_path(watch, entry->d_name);

		if (component_is_dots(entry->d_name))
			continue;
		if (tells && path != NULL)
			tell(path);
		if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
			add_below(watch, fd, entry->d_name);
	}
	if (directory != NULL)
		(void)closedir(directory);
	if (fd >= 0)
		(void)close(fd);
}

/* Lists every directory that is new, and what is found in it. */
static void list_new(bool tells)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < count; i++) {
			if (!directories[i].is_unlisted)
				continue;
			directories[i].is_unlisted = false;
			again = true;
			list(directories[i].watch, tells);
		}
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
	if (watch < 0)
		builtin_fail(errno, "inotify_add_watch(%s)", path);
	put(watch, NO_DIRECTORY, "");
	list_new(false);
}

void watch_tree_add(int watch, const char *name)
{
	int fd = open_directory(watch);

	if (fd >= 0) {
		add_below(watch, fd, name);
		(void)close(fd);
	}
	list_new(true);
}

void watch_tree_take(int watch, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (directories[i].above == watch && strcmp(directories[i].name, name) == 0) {
			directories[i].above = HAS_LEFT;
			have_left = true;
		}
	}
}

bool watch_tree_end(int watch)
{
	struct watched *directory = find(watch);
	bool is_root = directory != NULL && directory->above == NO_DIRECTORY;

	if (directory != NULL)
		drop(directory);
	return !is_root;
}

/* Ends the watch of what is not in the tree. Its directory may be gone already. */
static void drop_lost(bool was_renewed)
{
	for (size_t i = count; i-- > 0;) {
		struct watched *directory = &directories[i];
		bool is_in =
			directory->above == NO_DIRECTORY || watch_tree_path(directory->above, directory->name) != NULL;

		if (is_in && (directory->is_found || !was_renewed))
			continue;
		(void)inotify_rm_watch(inotify, directory->watch);
		drop(directory);
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
	for (size_t i = 0; i < count; i++) {
		directories[i].is_unlisted = true;
		directories[i].is_found = directories[i].above == NO_DIRECTORY;
	}
	list_new(false);
	drop_lost(true);
}
