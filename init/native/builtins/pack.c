/* pack PATH: writes a file, or a directory with all that is in it, to stdout. Of a symbolic link it writes the link. */
#include "builtins/builtins.h"
#include "builtins/entry_names.h"
#include "builtins/levels.h"
#include "builtins/pack_content.h"
#include "builtins/sent_files.h"
#include "builtins/tree.h"
#include "builtins/tree_output.h"
#include "builtins/tree_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct levels levels;
static struct tree_path below;

/* What was there a moment ago may be gone, or something else. */
static bool has_vanished(int error)
{
	return levels.count > 0 && (error == ENOENT || error == ELOOP || error == ENOTDIR || error == ENXIO);
}

/* Whether further names of the file may follow. The root has none in its tree. */
static bool is_shared(const struct stat *found, const char *name)
{
	return found->st_nlink > 1 && levels.count > 0 && sent_files_add(found, tree_path_size(&below, name));
}

static void pack_file(int directory, const char *path, const char *name)
{
	int fd = openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat found;

	if (fd < 0 && has_vanished(errno)) {
		tree_put_skipped(name, TREE_REASON_VANISHED);
		return;
	}
	if (fd < 0)
		levels_fail(&levels, errno, "open", path);
	if (fstat(fd, &found) < 0)
		levels_fail(&levels, errno, "fstat", path);
	if (S_ISREG(found.st_mode)) {
		tree_put_entry(is_shared(&found, name) ? TREE_SHARED_FILE : TREE_FILE, name, &found);
		tree_put_number((uint64_t)found.st_size, 8);
		pack_content(fd, &found, &levels, path);
	} else {
		tree_put_skipped(name, TREE_REASON_VANISHED);
	}
	(void)close(fd);
}

static void pack_link(int directory, const char *path, const char *name, const struct stat *found)
{
	char target[TREE_MAX_TARGET_BYTES + 1];
	ssize_t size = readlinkat(directory, path, target, sizeof(target));

	if (size < 0 && (has_vanished(errno) || errno == EINVAL)) {
		tree_put_skipped(name, TREE_REASON_VANISHED);
		return;
	}
	if (size < 0 || size > TREE_MAX_TARGET_BYTES)
		levels_fail(&levels, size < 0 ? errno : ENAMETOOLONG, "readlink", path);
	tree_put_entry(TREE_LINK, name, found);
	tree_put_number((uint64_t)size, 2);
	tree_put_bytes(target, (size_t)size);
}

static void pack_directory(int directory, const char *path, const char *name)
{
	int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (fd < 0 && has_vanished(errno)) {
		tree_put_skipped(name, TREE_REASON_VANISHED);
		return;
	}
	if (fd < 0)
		levels_fail(&levels, errno, "open", path);
	if (fstat(fd, &found) < 0)
		levels_fail(&levels, errno, "fstat", path);
	if (levels.count >= TREE_MAX_DEPTH)
		levels_fail(&levels, ELOOP, "open", path);
	tree_put_entry(TREE_DIRECTORY, name, &found);
	if (levels.count > 0)
		tree_path_enter(&below, name);
	levels_enter(&levels, fd, path);
	levels_keep(&levels, entry_names_read(&levels));
}

static void pack_entry(int directory, const char *path, const char *name)
{
	struct stat found;
	uint32_t number;

	if (fstatat(directory, path, &found, AT_SYMLINK_NOFOLLOW) < 0) {
		if (!has_vanished(errno))
			levels_fail(&levels, errno, "stat", path);
		tree_put_skipped(name, TREE_REASON_VANISHED);
	} else if (S_ISDIR(found.st_mode)) {
		pack_directory(directory, path, name);
	} else if (S_ISREG(found.st_mode) && found.st_nlink > 1 && sent_files_find(&found, &number)) {
		tree_put_name(TREE_HARD_LINK, name);
		tree_put_number(number, 4);
	} else if (S_ISREG(found.st_mode)) {
		pack_file(directory, path, name);
	} else if (S_ISLNK(found.st_mode)) {
		pack_link(directory, path, name, &found);
	} else if (S_ISFIFO(found.st_mode)) {
		tree_put_entry(TREE_FIFO, name, &found);
	} else {
		tree_put_skipped(name, S_ISSOCK(found.st_mode) ? TREE_REASON_SOCKET : TREE_REASON_DEVICE);
	}
}

void builtin_pack(char **argv)
{
	pack_entry(AT_FDCWD, argv[0], "");
	while (levels.count > 0) {
		struct entry_names *names = levels_top(&levels)->kept;
		const char *name = entry_names_next(names);

		if (name != NULL) {
			pack_entry(levels_top(&levels)->fd, name, name);
			continue;
		}
		free(names);
		tree_put_number(TREE_LEAVE, 1);
		tree_path_leave(&below);
		levels_leave(&levels);
	}
	tree_put_number(TREE_END, 1);
	tree_flush();
}
