/*
 * unpack PATH NAME: makes the tree that comes from stdin. If PATH is a directory the tree goes into it as NAME, or with
 * an empty NAME the content of the tree goes into it. Else the tree becomes PATH.
 *
 * A file has its name when all of it is there. Until then it has another one, which is removed by whatever fails and by
 * SIGTERM.
 */
#include "builtins/builtins.h"
#include "builtins/levels.h"
#include "builtins/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_BYTES 262144
#define UNFINISHED_BYTES 32
#define MOST_NANOSECONDS 999999999

static uint8_t input[INPUT_BYTES];
static size_t input_at;
static size_t input_end;
static struct levels levels;
static struct {
	const char *name;
	/* It has to be a directory: the path ends with a slash. */
	bool is_directory;
	bool is_made;
} root;
/* What has not got its name yet. */
static struct {
	volatile sig_atomic_t exists;
	int directory;
	char name[UNFINISHED_BYTES];
} unfinished;

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

static void remove_unfinished(void)
{
	if (unfinished.exists)
		(void)unlinkat(unfinished.directory, unfinished.name, 0);
	unfinished.exists = 0;
}

static void on_terminate(int number)
{
	remove_unfinished();
	_exit(128 + number);
}

static _Noreturn void fail(int error, const char *call, const char *name)
{
	remove_unfinished();
	builtin_fail(error, "%s(%s)", call, levels_path(&levels, name));
}

static _Noreturn void malformed(const char *what)
{
	remove_unfinished();
	builtin_fail(EBADMSG, "stdin: %s", what);
}

/* Reads what is there, at least a byte. */
static void fill(void)
{
	ssize_t size;

	if (input_at > 0)
		memmove(input, input + input_at, input_end - input_at);
	input_end -= input_at;
	input_at = 0;
	do
		size = read(STDIN_FILENO, input + input_end, sizeof(input) - input_end);
	while (size < 0 && errno == EINTR);
	if (size < 0) {
		int error = errno;

		remove_unfinished();
		builtin_fail(error, "read(stdin)");
	}
	if (size == 0)
		malformed("it ends before the tree does");
	input_end += (size_t)size;
}

/* Bytes of the stream, until the next call. */
static const uint8_t *get_bytes(size_t size)
{
	const uint8_t *bytes;

	while (input_end - input_at < size)
		fill();
	bytes = input + input_at;
	input_at += size;
	return bytes;
}

static uint64_t get_number(size_t size)
{
	const uint8_t *bytes = get_bytes(size);
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* A text of the stream, which has room for a NUL behind it. */
static void get_text(char *to, size_t size)
{
	memcpy(to, get_bytes(size), size);
	to[size] = '\0';
	if (strlen(to) != size)
		malformed("a NUL in a name");
}

static bool is_component(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void get_entry(struct entry *entry)
{
	bool is_root = levels.count == 1;

	if (is_root && root.is_made)
		malformed("more than one tree");
	get_text(entry->name, (size_t)get_number(1));
	if (is_root ? entry->name[0] != '\0' : !is_component(entry->name))
		malformed("a name");
	if (is_root)
		(void)snprintf(entry->name, sizeof(entry->name), "%s", root.name);
	root.is_made = true;
	entry->mode = (mode_t)get_number(2);
	if ((entry->mode & ~(mode_t)TREE_MODE_BITS) != 0)
		malformed("a mode");
	entry->times[0] = (struct timespec){0, UTIME_OMIT};
	entry->times[1].tv_sec = (time_t)get_number(8);
	entry->times[1].tv_nsec = (long)get_number(4);
	if (entry->times[1].tv_nsec > MOST_NANOSECONDS)
		malformed("a time");
}

/* Gives what is to come a name that nobody can foresee, and remembers it. */
static void name_unfinished(const struct entry *entry)
{
	uint64_t number;
	struct stat found;
	int directory = levels_top(&levels)->fd;

	if (levels.count == 1 && root.is_directory)
		fail(ENOTDIR, "rename", entry->name);
	if (fstatat(directory, entry->name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(found.st_mode))
		fail(EISDIR, "rename", entry->name);
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		fail(errno, "getrandom", entry->name);
	(void)snprintf(unfinished.name, sizeof(unfinished.name), ".virt-sandbox-%016llx", (unsigned long long)number);
	unfinished.directory = directory;
	unfinished.exists = 1;
}

static void finish(const struct entry *entry)
{
	if (utimensat(unfinished.directory, unfinished.name, entry->times, AT_SYMLINK_NOFOLLOW) < 0)
		fail(errno, "utimensat", entry->name);
	if (renameat(unfinished.directory, unfinished.name, unfinished.directory, entry->name) < 0)
		fail(errno, "rename", entry->name);
	unfinished.exists = 0;
}

static void write_piece(int fd, const uint8_t *bytes, size_t size, off_t at, const char *name)
{
	while (size > 0) {
		ssize_t count = pwrite(fd, bytes, size, at);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			fail(count < 0 ? errno : EIO, "write", name);
		bytes += count;
		size -= (size_t)count;
		at += count;
	}
}

/* Writes an extent, which begins at or behind `from`. Returns its end. */
static uint64_t unpack_extent(int fd, uint64_t from, uint64_t end, const char *name)
{
	uint64_t at = get_number(8);
	size_t size = (size_t)get_number(4);

	if (size == 0 || size > TREE_MAX_EXTENT_BYTES || at < from || at > end || size > end - at)
		malformed("an extent");
	while (size > 0) {
		size_t count;

		if (input_at == input_end)
			fill();
		count = input_end - input_at < size ? input_end - input_at : size;
		write_piece(fd, get_bytes(count), count, (off_t)at, name);
		at += count;
		size -= count;
	}
	return at;
}

static void unpack_file(const struct entry *entry)
{
	uint64_t size = get_number(8);
	uint64_t at = 0;
	uint64_t type;
	int fd;

	if (size > INT64_MAX)
		malformed("a size");
	name_unfinished(entry);
	fd = openat(unfinished.directory, unfinished.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		fail(errno, "open", entry->name);
	while ((type = get_number(1)) == TREE_EXTENT)
		at = unpack_extent(fd, at, size, entry->name);
	if (type != TREE_FILE_END)
		malformed("a record in a file");
	(void)get_number(1);
	if (at < size && ftruncate(fd, (off_t)size) < 0)
		fail(errno, "ftruncate", entry->name);
	if (fchmod(fd, entry->mode) < 0)
		fail(errno, "chmod", entry->name);
	/* Some file systems fail only here. */
	if (close(fd) < 0)
		fail(errno, "write", entry->name);
	finish(entry);
}

static void unpack_link(const struct entry *entry)
{
	char target[TREE_MAX_TARGET_BYTES + 1];
	size_t size = (size_t)get_number(2);

	if (size == 0 || size > TREE_MAX_TARGET_BYTES)
		malformed("the target of a link");
	get_text(target, size);
	name_unfinished(entry);
	if (symlinkat(target, unfinished.directory, unfinished.name) < 0)
		fail(errno, "symlink", entry->name);
	finish(entry);
}

static void unpack_fifo(const struct entry *entry)
{
	name_unfinished(entry);
	if (mkfifoat(unfinished.directory, unfinished.name, entry->mode) < 0)
		fail(errno, "mkfifo", entry->name);
	finish(entry);
}

/* A directory that is there already keeps its mode, and its times go on. */
static void unpack_directory(const struct entry *entry)
{
	int above = levels_top(&levels)->fd;
	bool is_made = mkdirat(above, entry->name, 0700) == 0;
	struct made *made = NULL;
	int fd;

	if (!is_made && errno != EEXIST)
		fail(errno, "mkdir", entry->name);
	fd = openat(above, entry->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fail(errno, "mkdir", entry->name);
	if (is_made) {
		made = malloc(sizeof(*made));
		if (made == NULL)
			fail(ENOMEM, "mkdir", entry->name);
		*made = (struct made){entry->mode, {entry->times[0], entry->times[1]}};
	}
	levels_enter(&levels, fd, entry->name);
	levels_top(&levels)->kept = made;
}

static void leave_directory(void)
{
	const struct level *level = levels_top(&levels);
	struct made *made = level->kept;

	if (levels.count < 2)
		malformed("a directory is left that was not entered");
	/* The new mode may not let this user do it later. */
	levels_open_above(&levels);
	if (made != NULL) {
		/* Its times first, for the same reason; a new mode does not change them. */
		if (utimensat(level->fd, ".", made->times, 0) < 0)
			fail(errno, "utimensat", "");
		if (fchmodat(level->fd, ".", made->mode, 0) < 0)
			fail(errno, "chmod", "");
	}
	free(made);
	levels_leave(&levels);
}

static void unpack_entry(uint64_t type)
{
	struct entry entry;

	get_entry(&entry);
	if (type == TREE_DIRECTORY)
		unpack_directory(&entry);
	else if (type == TREE_FILE)
		unpack_file(&entry);
	else if (type == TREE_LINK)
		unpack_link(&entry);
	else
		unpack_fifo(&entry);
}

/* Opens the directory in which the tree will be, and finds its name there. */
static void find_place(char *argument, char *name)
{
	struct stat found;
	char *path = strdup(argument);
	const char *in = path;
	int fd;

	if (path == NULL)
		builtin_fail(ENOMEM, "open(%s)", argument);
	if (stat(path, &found) == 0 && S_ISDIR(found.st_mode)) {
		root.name = name[0] == '\0' ? "." : name;
		if (name[0] != '\0' && !is_component(name))
			builtin_fail(EINVAL, "%s", name);
	} else {
		size_t size = strlen(path);
		char *slash;

		while (size > 1 && path[size - 1] == '/') {
			path[--size] = '\0';
			root.is_directory = true;
		}
		slash = strrchr(path, '/');
		in = slash == NULL ? "." : slash == path ? "/" : path;
		root.name = slash == NULL ? path : slash + 1;
		if (slash != NULL)
			*slash = '\0';
		if (!is_component(root.name) || strlen(root.name) > TREE_MAX_NAME_BYTES)
			builtin_fail(strlen(root.name) > TREE_MAX_NAME_BYTES ? ENAMETOOLONG : ENOENT, "open(%s)",
				     argument);
	}
	fd = open(in, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		builtin_fail(errno, "open(%s)", in);
	levels_enter(&levels, fd, strcmp(in, ".") == 0 ? "" : in);
}

void builtin_unpack(char **argv)
{
	struct sigaction action = {.sa_handler = on_terminate};

	if (sigaction(SIGTERM, &action, NULL) < 0)
		builtin_fail(errno, "sigaction");
	/* A FIFO has its mode from the beginning. */
	(void)umask(0);
	find_place(argv[0], argv[1]);
	for (;;) {
		uint64_t type = get_number(1);

		switch (type) {
		case TREE_DIRECTORY:
		case TREE_FILE:
		case TREE_LINK:
		case TREE_FIFO:
			unpack_entry(type);
			break;
		case TREE_LEAVE:
			leave_directory();
			break;
		case TREE_END:
			if (!root.is_made || levels.count > 1)
				malformed("it ends within the tree");
			return;
		default:
			malformed("an unknown record");
		}
	}
}
