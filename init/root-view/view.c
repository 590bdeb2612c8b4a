#include "view.h"

#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
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

	(void)snprintf(options, sizeof(options), POINT_OPTIONS, view->count + OWN_INODES);
	if (mount("tmpfs", view->point, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0 ||
	    mount(NULL, view->point, NULL, MS_PRIVATE, NULL) != 0)
		return -1;
	parts->point = open(view->point, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parts->point < 0 || mkdirat(parts->point, ROOT, 0755) != 0)
		return -1;
	file = openat(parts->point, EMPTY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	return file < 0 ? -1 : close(file);
}

static int make_root(const struct view *view, struct parts *parts)
{
	unsigned int recursive = view->recursive ? AT_RECURSIVE : 0;
	/* Copied before the point covers anything, since the source may hold the point. */
	int copy = clone_mount(view->source, recursive);
	int target;

	if (copy < 0)
		return -1;
	if (make_point(view, parts) != 0) {
		(void)close(copy);
		return -1;
	}
	target = open_at(parts->point, ROOT);
	if (target < 0 || attach(copy, target, recursive) != 0)
		return -1;
	(void)close(target);
	parts->root = open_at(parts->point, ROOT);
	return parts->root < 0 ? -1 : 0;
}

/* True for a path that is not there, so nobody can reach what would be in it either. */
static bool is_missing(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/* A file system that was unmounted meanwhile, or that another one covers, is not shown. */
static int show(const struct view *view, const struct parts *parts, size_t number)
{
	const char *path = view->entries[number].path;
	char from[PATH_MAX];
	int target = open_inside(parts->root, path, RESOLVE_NO_SYMLINKS);
	int copy;
	int result;

	if (target < 0)
		return is_missing(errno) ? 0 : -1;
	copy = join(from, view->source, path) == 0 ? clone_mount(from, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) : -1;
	if (copy < 0)
		result = is_missing(errno) ? 0 : -1;
	else
		result = attach(copy, target, 0);
	(void)close(target);
	return result;
}

/*
 * Makes what is to cover something, and writes its name. Each directory is another one: in a guest, two paths to one
 * directory would be the same directory, and what is mounted on one would be on both.
 */
static int make_cover(const struct parts *parts, int target, size_t number, char *name, size_t size)
{
	struct stat info;

	if (fstat(target, &info) != 0)
		return -1;
	if (!S_ISDIR(info.st_mode)) {
		(void)snprintf(name, size, EMPTY_FILE);
		return 0;
	}
	(void)snprintf(name, size, "%zu", number);
	return mkdirat(parts->point, name, 0555);
}

static int hide(const struct view *view, const struct parts *parts, size_t number)
{
	const char *path = view->entries[number].path;
	char name[sizeof(EMPTY_FILE) + 20];
	char cover[PATH_MAX];
	/* A link is followed: what it leads to is hidden, wherever in the view that is. */
	int target = open_inside(parts->root, path, 0);
	int copy;
	int result = -1;

	if (target < 0) {
		/* In a user namespace this is the user that QEMU runs as. What that cannot reach is hidden already. */
		return is_missing(errno) || (view->recursive && errno == EACCES) ? 0 : -1;
	}
	if (make_cover(parts, target, number, name, sizeof(name)) == 0 && join(cover, view->point, name) == 0) {
		copy = clone_mount(cover, AT_SYMLINK_NOFOLLOW);
		if (copy >= 0)
			result = attach(copy, target, 0);
	}
	(void)close(target);
	return result;
}

int view_make(const struct view *view, const char **failed, const char **path)
{
	struct parts parts = {.point = -1, .root = -1};

	*failed = "cannot make a view of";
	*path = view->source;
	if (make_root(view, &parts) != 0)
		return -1;
	for (size_t i = 0; i < view->count; i++) {
		const struct view_entry *entry = &view->entries[i];

		*failed = entry->hide ? "cannot hide" : "cannot show";
		*path = entry->path;
		if ((entry->hide ? hide : show)(view, &parts, i) != 0)
			return -1;
	}
	(void)close(parts.root);
	(void)close(parts.point);
	return 0;
}
