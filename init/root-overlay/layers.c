#include "layers.h"

#include "calls.h"
#include "empty_files.h"
#include "kept.h"
#include "owner.h"
#include "stage.h"
#include "upper.h"
#include "wall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* The tree of overlays, in the stage. */
#define TREE STAGE_TREE

struct making {
	const struct arguments *options;
	const struct mounts *mounts;
	/* Of each mount: 0, or the error that leaves it read-only. */
	int errors[MAX_MOUNTS];
	int root;
	int tree;
	/* The user namespace with the ids; -1: files belong to whom they belong to on the host. */
	int ids;
};

static void name_layer(char name[NAME_MAX], const char *folder, size_t number)
{
	(void)snprintf(name, NAME_MAX, "%s/%zu", folder, number);
}

static void close_open(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

/* A copy of the mount, read-only, as the lower layer. */
static int make_lower(const struct making *making, size_t number)
{
	char name[NAME_MAX];
	int fd = open_below(making->root, making->mounts->paths[number]);
	int copy = fd < 0 ? -1 : clone_mount(fd);
	int target = -1;
	int result = -1;

	name_layer(name, "lower", number);
	if (copy >= 0 && restrict_mount(copy, making->ids) == 0 && mkdir(name, 0755) == 0)
		target = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (target >= 0)
		result = attach_mount(copy, target);

	int error = errno;

	close_open(fd);
	close_open(copy);
	close_open(target);
	errno = error;
	return result;
}

/*
 * What the mount has of these: its copy has them, and the wall over that has not. Device nodes mean nothing, and neither
 * do set-user-ID bits to who cannot gain by them.
 */
static unsigned long flags_of(const struct making *making, size_t number)
{
	char lower[NAME_MAX];
	struct statvfs status;
	unsigned long flags = MS_NODEV | (making->options->has_reader ? MS_NOSUID : 0);

	name_layer(lower, "lower", number);
	/* What cannot be asked has all of them. */
	if (statvfs(lower, &status) != 0)
		return flags | MS_NOSUID | MS_NOEXEC;
	return flags | ((status.f_flag & ST_NOSUID) != 0 ? MS_NOSUID : 0) |
	       ((status.f_flag & ST_NOEXEC) != 0 ? MS_NOEXEC : 0);
}

/* The kernel mounts an overlay read-only if its work directory cannot be used. */
static int check_writable(const struct making *making, size_t number)
{
	char path[NAME_MAX];
	struct statvfs status;
	int fd = number == 0 ? open(TREE, O_PATH | O_DIRECTORY | O_CLOEXEC)
			     : open_below(making->tree, making->mounts->paths[number]);
	int error = fd < 0 || fstatvfs(fd, &status) != 0 ? errno : 0;

	if (error == 0 && (status.f_flag & ST_RDONLY) != 0) {
		error = EROFS;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		(void)umount2(path, MNT_DETACH);
	}
	close_open(fd);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* The overlay that can be written to. */
static int make_upper(const struct making *making, size_t number)
{
	char target[NAME_MAX] = TREE;
	char options[UPPER_OPTION_BYTES];
	int point = number == 0 ? -1 : open_below(making->tree, making->mounts->paths[number]);

	if (number > 0 && point < 0)
		return -1;
	/* mount(2) takes a path only. */
	if (number > 0)
		(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", point);

	int result = upper_make(making->options, making->mounts->paths[number], number, options) == 0 &&
				     mount("overlay", target, "overlay", flags_of(making, number), options) == 0
			     ? check_writable(making, number)
			     : -1;
	int error = errno;

	close_open(point);
	errno = error;
	return result;
}

/* The mount as it is in a container without an overlay. */
static int keep_read_only(const struct making *making, size_t number)
{
	int fd = open_below(making->root, making->mounts->paths[number]);
	int copy = fd < 0 ? -1 : clone_mount(fd);
	int point = open_below(making->tree, making->mounts->paths[number]);
	int result = copy >= 0 && point >= 0 && restrict_mount(copy, -1) == 0 ? attach_mount(copy, point) : -1;
	int error = errno;

	close_open(fd);
	close_open(copy);
	close_open(point);
	errno = error;
	return result;
}

/* An earlier container has removed the directory, or put something else in its place: nobody sees what is on it. */
static bool is_gone(const struct making *making, const char *path)
{
	int fd;

	if (making->options->kept == NULL)
		return false;
	fd = open_below(making->tree, path);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
	(void)close(fd);
	return false;
}

static bool is_seen(const struct making *making, const char *path)
{
	int fd = open_below(making->root, path);

	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

/* A mount below the root, and a line if it cannot be written to. */
static int add_below(struct making *making, size_t number)
{
	const char *path = making->mounts->paths[number];
	int error = making->errors[number];

	if (is_gone(making, path))
		return 0;
	if (error == 0)
		error = make_upper(making, number) == 0 ? 0 : errno;
	if (error == 0)
		return 0;
	/* It lies below another mount, so nobody sees it. */
	if (!is_seen(making, path))
		return 0;
	if (keep_read_only(making, number) == 0) {
		(void)printf("read-only /%s: %s\n", path, strerror(error));
		return 0;
	}
	/* The reader may not go there, and what cannot be seen needs no mount. */
	return errno == EACCES ? 0 : -1;
}

/* The tree takes the place of what was at the root, and the stage goes away. */
static int put_in_place(const struct making *making)
{
	const char *root = making->options->root;

	if (umount2(root, MNT_DETACH) != 0)
		return -1;

	int target = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result = target < 0 ? -1 : attach_mount(making->tree, target);

	close_open(target);
	return result;
}

static int open_kept(const struct making *making, const char **what)
{
	const struct arguments *options = making->options;

	*what = "cannot have what is kept for";
	if (kept_take(options->kept, making->ids) != 0 ||
	    (making->ids >= 0 && owner_become(&options->uids, &options->gids) != 0))
		return -1;
	*what = "cannot lock what is kept for";
	return kept_lock(options->wait_seconds);
}

static int make_all(struct making *making, const char **what)
{
	const struct mounts *mounts = making->mounts;

	*what = "cannot make the layers of an overlay for";
	for (size_t i = 0; i < mounts->count; i++)
		making->errors[i] = make_lower(making, i) == 0 ? 0 : errno;
	if (wall_is_needed(making->options) && wall_make(making->options, making->errors, mounts->count) != 0)
		return -1;
	if (making->options->kept != NULL && open_kept(making, what) != 0)
		return -1;
	*what = "cannot lay an overlay over";
	errno = making->errors[0];
	if (errno != 0 || make_upper(making, 0) != 0)
		return -1;
	making->tree = open(TREE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (making->tree < 0)
		return -1;
	*what = "cannot mount again what is mounted below";
	for (size_t i = 1; i < mounts->count; i++) {
		if (add_below(making, i) != 0)
			return -1;
	}
	for (size_t i = 0; i < making->options->empty_file_count; i++)
		empty_file_renew(making->tree, making->options->empty_files[i]);
	*what = "cannot replace";
	return put_in_place(making);
}

int layers_make(const struct arguments *options, const struct mounts *mounts, const char **what)
{
	static struct making making;

	making.options = options;
	making.mounts = mounts;
	making.ids = -1;
	(void)umask(0);
	*what = "cannot open";
	making.root = open(options->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (making.root < 0)
		return -1;
	if (options->uids.count > 0) {
		const char *step;

		making.ids = id_namespace_open(options->uids.ranges, options->uids.count, options->gids.ranges,
					       options->gids.count, &step);
		*what = "cannot make the ids of";
		if (making.ids < 0)
			return -1;
	}
	*what = "cannot have memory for";
	if (stage_make(options->bytes) != 0 || make_all(&making, what) != 0)
		return -1;
	*what = "cannot leave the layers of";
	return stage_discard();
}
