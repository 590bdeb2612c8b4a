/*
 * unpack PATH NAME: makes the tree that comes from stdin. If PATH is a directory the tree goes into it as NAME, or with
 * an empty NAME the content of the tree goes into it. Else the tree becomes PATH.
 *
 * A file has its name when all of it is there. Until then it has another one, which is removed by whatever fails and by
 * SIGTERM. Where a file system keeps no modes or times, a record on stdout says so.
 */
#include "builtins/attributes.h"
#include "builtins/builtins.h"
#include "builtins/component.h"
#include "builtins/levels.h"
#include "builtins/made_files.h"
#include "builtins/make_directory.h"
#include "builtins/output.h"
#include "builtins/place.h"
#include "builtins/tree.h"
#include "builtins/tree_input.h"
#include "builtins/tree_path.h"
#include "builtins/unfinished.h"
#include "builtins/unpack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_NANOSECONDS 999999999
/* A host keeps no more of them. */
#define MOST_REPORTS 1000

static struct levels levels;
static struct tree_path below;
static struct place place;
/* The root of the tree has come. */
static bool has_root;

/* What a record says of an entry. */
struct entry {
	char name[TREE_MAX_NAME_BYTES + 1];
	mode_t mode;
	struct timespec times[2];
};

/* A directory that was made gets these when it is left. */
struct made {
	mode_t mode;
	struct timespec times[2];
};

static _Noreturn void fail(int error, const char *call, const char *name)
{
	levels_fail(&levels, error, call, name);
}

/* What was to set a mode or a time has failed. */
static void lose(uint32_t what, const char *call, const char *name)
{
	static int reports;
	const char *path = levels_path(&levels, name);

	if (!attributes_are_refused(errno))
		fail(errno, call, name);
	if (reports++ >= MOST_REPORTS)
		return;
	record_begin();
	record_u32(what);
	record_text(path, strlen(path));
	record_end();
}

static void get_name(char *name)
{
	bool is_root = levels.count == 1;

	if (is_root && has_root)
		tree_malformed("more than one tree");
	tree_get_text(name, (size_t)tree_get_number(1));
	if (is_root ? name[0] != '\0' : !component_is_name(name))
		tree_malformed("a name");
	if (is_root)
		(void)snprintf(name, TREE_MAX_NAME_BYTES + 1, "%s", place.name);
	has_root = true;
}

static void get_entry(struct entry *entry)
{
	get_name(entry->name);
	entry->mode = (mode_t)tree_get_number(2);
	if ((entry->mode & ~(mode_t)TREE_MODE_BITS) != 0)
		tree_malformed("a mode");
	/* What is made belongs to this user, and is not to run as that for others. */
	entry->mode &= ~(mode_t)(S_ISUID | S_ISGID);
	entry->times[0] = (struct timespec){0, UTIME_OMIT};
	entry->times[1].tv_sec = (time_t)tree_get_number(8);
	entry->times[1].tv_nsec = (long)tree_get_number(4);
	if (entry->times[1].tv_nsec > MOST_NANOSECONDS)
		tree_malformed("a time");
}

/* Checks, before anything is made, that nothing is in the way of what is no directory. */
static void check_way(const char *name)
{
	struct stat found;

	if (levels.count == 1 && place.is_directory)
		fail(ENOTDIR, "rename", name);
	if (fstatat(levels_top(&levels)->fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(found.st_mode))
		fail(EISDIR, "rename", name);
}

/* Gives it its times and its name. Of a file that may get further names, it says what it is by then. */
static void finish(const struct timespec times[2], const char *name, struct stat *shared)
{
	struct stat made = {0};

	if (unfinished_set_times(times) < 0)
		lose(TREE_LOST_TIME, "utimensat", name);
	if (shared != NULL) {
		made = *shared;
		if (unfinished_stat(shared) < 0 || shared->st_dev != made.st_dev || shared->st_ino != made.st_ino ||
		    shared->st_uid != made.st_uid)
			fail(ESTALE, "rename", name);
	}
	if (unfinished_rename(name) < 0)
		fail(errno, "rename", name);
}

static void finish_file(int fd, mode_t mode, const struct timespec times[2], const char *name, struct stat *shared)
{
	if (fchmod(fd, mode) < 0)
		lose(TREE_LOST_MODE, "chmod", name);
	if (shared != NULL && fstat(fd, shared) < 0)
		fail(errno, "fstat", name);
	/* Some file systems fail only here. */
	if (close(fd) < 0)
		fail(errno, "write", name);
	finish(times, name, shared);
}

static void make_file(const struct entry *entry, bool is_shared)
{
	struct stat made;
	int fd;

	check_way(entry->name);
	if (is_shared && levels.count == 1)
		tree_malformed("a root with several names");
	fd = unpack_file(&levels, entry->name);
	finish_file(fd, entry->mode, entry->times, entry->name, is_shared ? &made : NULL);
	if (is_shared)
		made_files_add(&below, entry->name, &made);
}

static void make_hard_link(void)
{
	char name[TREE_MAX_NAME_BYTES + 1];
	struct stat original;
	int copied;

	if (levels.count == 1)
		tree_malformed("a root that is a name of another file");
	get_name(name);
	check_way(name);
	copied = made_files_link(&levels, (uint32_t)tree_get_number(4), name, &original);
	if (copied >= 0)
		finish_file(copied, original.st_mode & TREE_MODE_BITS,
			    (struct timespec[]){{0, UTIME_OMIT}, original.st_mtim}, name, NULL);
	else if (unfinished_rename_hard_link(name) < 0)
		fail(errno, "rename", name);
}

static void make_link(const struct entry *entry)
{
	char target[TREE_MAX_TARGET_BYTES + 1];
	size_t size = (size_t)tree_get_number(2);

	if (size == 0 || size > TREE_MAX_TARGET_BYTES)
		tree_malformed("the target of a link");
	tree_get_text(target, size);
	check_way(entry->name);
	if (unfinished_symlink(levels_top(&levels)->fd, target) < 0)
		fail(errno, "symlink", entry->name);
	finish(entry->times, entry->name, NULL);
}

static void make_fifo(const struct entry *entry)
{
	check_way(entry->name);
	if (unfinished_mkfifo(levels_top(&levels)->fd, entry->mode) < 0)
		fail(errno, "mkfifo", entry->name);
	finish(entry->times, entry->name, NULL);
}

/* A directory that is there already keeps its mode, and its times go on. */
static void enter_directory(const struct entry *entry)
{
	struct made *made = NULL;
	bool is_made;
	int fd = make_directory(levels_top(&levels)->fd, entry->name, &is_made);

	if (fd < 0)
		fail(errno, "mkdir", entry->name);
	if (is_made) {
		made = malloc(sizeof(*made));
		if (made == NULL)
			fail(ENOMEM, "mkdir", entry->name);
		*made = (struct made){entry->mode, {entry->times[0], entry->times[1]}};
	}
	if (levels.count > 1)
		tree_path_enter(&below, entry->name);
	levels_enter(&levels, fd, entry->name);
	levels_keep(&levels, made);
}

static void leave_directory(void)
{
	const struct level *level = levels_top(&levels);
	struct made *made = level->kept;

	if (levels.count < 2)
		tree_malformed("a directory is left that was not entered");
	/* The new mode may not let this user do it later. */
	levels_open_above(&levels);
	if (made != NULL) {
		/* Its times first, for the same reason; a new mode does not change them. */
		if (utimensat(level->fd, ".", made->times, 0) < 0)
			lose(TREE_LOST_TIME, "utimensat", "");
		if (fchmodat(level->fd, ".", made->mode, 0) < 0)
			lose(TREE_LOST_MODE, "chmod", "");
	}
	free(made);
	tree_path_leave(&below);
	levels_leave(&levels);
}

static void make_entry(uint64_t type)
{
	struct entry entry;

	get_entry(&entry);
	if (type == TREE_DIRECTORY)
		enter_directory(&entry);
	else if (type == TREE_FILE || type == TREE_SHARED_FILE)
		make_file(&entry, type == TREE_SHARED_FILE);
	else if (type == TREE_LINK)
		make_link(&entry);
	else
		make_fifo(&entry);
}

/* Returns false at the end of the tree. */
static bool take_record(void)
{
	uint64_t type = tree_get_number(1);

	switch (type) {
	case TREE_DIRECTORY:
	case TREE_FILE:
	case TREE_SHARED_FILE:
	case TREE_LINK:
	case TREE_FIFO:
		make_entry(type);
		return true;
	case TREE_HARD_LINK:
		make_hard_link();
		return true;
	case TREE_LEAVE:
		leave_directory();
		return true;
	case TREE_END:
		if (!has_root || levels.count > 1)
			tree_malformed("it ends within the tree");
		return false;
	default:
		tree_malformed("an unknown record");
	}
}

void builtin_unpack(char **argv)
{
	unfinished_end_on_terminate();
	/* A FIFO has its mode from the beginning. */
	(void)umask(0);
	place = place_find(argv[0], argv[1]);
	levels_enter(&levels, place.directory, strcmp(place.path, ".") == 0 ? "" : place.path);
	while (take_record())
		continue;
	output_flush();
}
