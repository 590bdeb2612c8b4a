#include "view.h"

#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* POINT is a tmpfs with the view in it, and the empty directories and the file that cover what is hidden. */
#define POINT_OPTIONS "mode=711,size=64k,nr_inodes=%zu"
/* The point, the root and the file, and some to spare. */
#define OWN_INODES 8
#define ROOT "root"
#define EMPTY_FILE "empty"

struct parts {
	int point;
	/* The view's own root. */
	int root;
	/* All mounts below the source came with it. */
	bool recursive;
};

static int open_at(int directory, const char *name)
{
	return openat(directory, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
}

/* Attaches a copy of a mount, and closes it. */
static int attach(int mount, int target, unsigned int flags)
{
	int result = restrict_mount(mount, flags) == 0 ? attach_mount(mount, target) : -1;
	int error = errno;

	(void)close(mount);
	errno = error;
	return result;
}

static int join(char path[PATH_MAX], const char *directory, const char *name)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

static int make_point(const struct view *view, struct parts *parts)
{
	char options[64];
	int file;

	(void)snprintf(options, sizeof(options), POINT_OPTIONS, view->count + view->spare_inodes + OWN_INODES);
	if (mount("tmpfs", view->point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0 ||
	    mount(NULL, view->point, NULL, MS_PRIVATE, NULL) != 0)
		return -1;
	parts->point = open(view->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parts->point < 0 || mkdirat(parts->point, ROOT, 0755) != 0)
		return -1;
	file = openat(parts->point, EMPTY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	return file < 0 ? -1 : close(file);
}

/*
 * Copies the mount of the source, without those below it. The kernel refuses that in a user namespace, which only gets
 * all together: it must not see what mounts cover.
 */
static int copy_source(const struct view *view, bool *recursive)
{
	int copy = *recursive ? -1 : clone_mount(view->source, 0);

	if (copy >= 0 || (!*recursive && errno != EINVAL))
		return copy;
	*recursive = true;
	return clone_mount(view->source, AT_RECURSIVE);
}

static int make_root(const struct view *view, struct parts *parts)
{
	int copy;
	int target;

	if (view->source == NULL)
		return make_point(view, parts);
	/* Copied before the point covers anything, since the source may hold the point. */
	copy = copy_source(view, &parts->recursive);
	if (copy < 0)
		return -1;
	if (make_point(view, parts) != 0) {
		(void)close(copy);
		return -1;
	}
	target = open_at(parts->point, ROOT);
	if (target < 0 || attach(copy, target, parts->recursive ? AT_RECURSIVE : 0) != 0)
		return -1;
	(void)close(target);
	parts->root = open_at(parts->point, ROOT);
	return parts->root < 0 ? -1 : 0;
}

/*
 * Shows a file system that is mounted below the source. One that cannot be shown is not: it was unmounted meanwhile,
 * another one covers it, or it is of a user who lets nobody in.
 */
static void show(const struct view *view, const struct parts *parts, const char *path)
{
	char from[PATH_MAX];
	int target = open_inside(parts->root, path, RESOLVE_NO_SYMLINKS);
	int copy;

	if (target < 0)
		return;
	copy = join(from, view->source, path) == 0 ? clone_mount(from, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) : -1;
	if (copy >= 0)
		(void)attach(copy, target, 0);
	(void)close(target);
}

/* True for a path that is not there, so nobody can reach what would be in it either. */
static bool is_missing(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/*
 * Opens what is to be hidden, or the directory above it that can be opened: a user's own file system may let nobody in,
 * not even root, or may have lost its server. A link is followed, since what it leads to is hidden, wherever that is.
 */
static int open_hidden(const struct parts *parts, const char *path)
{
	char above[PATH_MAX];
	char *end;
	int target = open_inside(parts->root, path, 0);

	if (target >= 0 || is_missing(errno))
		return target;
	if ((size_t)snprintf(above, sizeof(above), "%s", path) >= sizeof(above))
		return -1;
	while (target < 0 && (end = strrchr(above, '/')) != NULL) {
		*end = '\0';
		target = open_inside(parts->root, above, 0);
	}
	return target;
}

/*
 * Covers something with a directory of its own, or with a file. Each directory is another one: in a guest, two paths to
 * one directory would be the same directory, and what is mounted on one would be on both.
 */
static int cover(const struct view *view, const struct parts *parts, int target, size_t number)
{
	char name[sizeof(EMPTY_FILE) + 20];
	char path[PATH_MAX];
	struct stat info;
	/* What cannot be looked at is a directory of a file system that lets nobody in. */
	bool is_directory = fstat(target, &info) != 0 || S_ISDIR(info.st_mode);
	int copy;

	(void)snprintf(name, sizeof(name), is_directory ? "%zu" : EMPTY_FILE, number);
	if (is_directory && mkdirat(parts->point, name, 0555) != 0)
		return -1;
	copy = join(path, view->point, name) == 0 ? clone_mount(path, AT_SYMLINK_NOFOLLOW) : -1;
	return copy < 0 ? -1 : attach(copy, target, 0);
}

static int hide(const struct view *view, const struct parts *parts, size_t number)
{
	int target = open_hidden(parts, view->entries[number].path);
	int result;

	if (target < 0)
		return is_missing(errno) ? 0 : -1;
	result = cover(view, parts, target, number);
	(void)close(target);
	return result;
}

int view_make(const struct view *view, const char **failed, const char **path)
{
	struct parts parts = {.point = -1, .root = -1, .recursive = view->recursive};

	*failed = "cannot make a view of";
	*path = view->source == NULL ? view->point : view->source;
	if (make_root(view, &parts) != 0)
		return -1;
	for (size_t i = 0; i < view->count && !parts.recursive; i++) {
		if (!view->entries[i].hide)
			show(view, &parts, view->entries[i].path);
	}
	*failed = "cannot hide";
	for (size_t i = 0; i < view->count; i++) {
		*path = view->entries[i].path;
		if (view->entries[i].hide && hide(view, &parts, i) != 0)
			return -1;
	}
	if (parts.root >= 0)
		(void)close(parts.root);
	(void)close(parts.point);
	return 0;
}
