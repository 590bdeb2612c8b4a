#include "builtins/made_files.h"

#include "builtins/builtins.h"
#include "builtins/tree_input.h"
#include "builtins/unfinished.h"
#include "builtins/unpack_file.h"
#include "builtins/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES 65536

struct made_file {
	/* A device and an inode alone may be those of another file, once this one is removed. */
	dev_t device;
	ino_t inode;
	uid_t owner;
	off_t size;
	struct timespec changed;
	/* From the root of the tree. */
	char path[];
};

static struct made_file *files[TREE_MAX_SHARED_FILES];
static uint32_t count;
static size_t path_bytes;

void made_files_add(const struct tree_path *path, const char *name, const struct stat *made)
{
	size_t size = tree_path_size(path, name);
	struct made_file *file;

	if (size == 0 || count == TREE_MAX_SHARED_FILES || size > TREE_MAX_SHARED_BYTES - path_bytes)
		tree_malformed("too many files with several names");
	file = malloc(sizeof(*file) + size + 1);
	if (file == NULL)
		builtin_fail(ENOMEM, "link(%s)", name);
	file->device = made->st_dev;
	file->inode = made->st_ino;
	file->owner = made->st_uid;
	file->size = made->st_size;
	file->changed = made->st_mtim;
	(void)snprintf(file->path, size + 1, "%s%s%s", path->text, path->size == 0 ? "" : "/", name);
	files[count++] = file;
	path_bytes += size;
}

static bool is_file(const struct made_file *file, const struct stat *found)
{
	return S_ISREG(found->st_mode) && found->st_dev == file->device && found->st_ino == file->inode &&
	       found->st_uid == file->owner && found->st_size == file->size &&
	       found->st_mtim.tv_sec == file->changed.tv_sec && found->st_mtim.tv_nsec == file->changed.tv_nsec;
}

/* Whether a file system, or this file, takes no further name. */
static bool is_refused(int error)
{
	return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK || error == EXDEV;
}

/* What is all zeros becomes a hole. */
static void copy(int from, int to, const struct levels *levels, const char *name)
{
	static uint8_t piece[PIECE_BYTES];
	uint64_t at = 0;

	for (;;) {
		ssize_t size = read(from, piece, sizeof(piece));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 || (size == 0 && ftruncate(to, (off_t)at) < 0))
			levels_fail(levels, errno, "write", name);
		if (size == 0)
			return;
		if (piece[0] != 0 || memcmp(piece, piece + 1, (size_t)size - 1) != 0)
			unpack_file_write(levels, name, to, piece, (size_t)size, at);
		at += (uint64_t)size;
	}
}

static int copy_file(const struct levels *levels, const struct made_file *file, int parent, const char *last,
		     const char *name, struct stat *original)
{
	int from = openat(parent, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int to;

	if (from < 0 || fstat(from, original) < 0)
		levels_fail(levels, errno, "link", name);
	if (!is_file(file, original))
		levels_fail(levels, ESTALE, "link", name);
	to = unfinished_open(levels_top(levels)->fd);
	if (to < 0)
		levels_fail(levels, errno, "open", name);
	copy(from, to, levels, name);
	(void)close(from);
	return to;
}

int made_files_link(const struct levels *levels, uint32_t number, const char *name, struct stat *original)
{
	const struct made_file *file;
	const char *last;
	int copied = -1;
	int parent;

	if (number >= count)
		tree_malformed("a name of a file that was not sent");
	file = files[number];
	last = strrchr(file->path, '/');
	last = last == NULL ? file->path : last + 1;
	parent = walk_open(levels->items[1].fd, file->path, (size_t)(last - file->path));
	if (parent < 0 || fstatat(parent, last, original, AT_SYMLINK_NOFOLLOW) < 0)
		levels_fail(levels, errno, "link", name);
	if (!is_file(file, original))
		levels_fail(levels, ESTALE, "link", name);
	if (unfinished_link(levels_top(levels)->fd, parent, last) < 0) {
		if (!is_refused(errno))
			levels_fail(levels, errno, "link", name);
		copied = copy_file(levels, file, parent, last, name, original);
	} else if (unfinished_stat(original) < 0 || !is_file(file, original)) {
		/* Another file took its name meanwhile. */
		levels_fail(levels, ESTALE, "link", name);
	}
	(void)close(parent);
	return copied;
}
