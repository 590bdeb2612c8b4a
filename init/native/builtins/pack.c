/* pack PATH: writes a file, or a directory with all that is in it, to stdout. Of a symbolic link it writes the link. */
#include "builtins/builtins.h"
#include "builtins/levels.h"
#include "builtins/tree.h"

#include "shared/write_all.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How much is read at a time, and how many zeros become a hole. */
#define PIECE_BYTES 65536
#define EXTENT_HEADER_BYTES 13
#define OUTPUT_BYTES (4 * (PIECE_BYTES + EXTENT_HEADER_BYTES))
/* Of st_blocks. */
#define BLOCK_BYTES 512

static uint8_t output[OUTPUT_BYTES];
static size_t output_size;
static struct levels levels;

/* The names in a directory that are still to be written, each with its NUL. */
struct names {
	size_t at;
	size_t size;
	size_t room;
	char bytes[];
};

static void flush(void)
{
	if (write_all(STDOUT_FILENO, output, output_size) < 0)
		builtin_fail(errno, "write(stdout)");
	output_size = 0;
}

/* Room for `size` bytes, which are in the stream when they are added to output_size. */
static uint8_t *reserve(size_t size)
{
	if (size > sizeof(output) - output_size)
		flush();
	return output + output_size;
}

static void put_number(uint64_t value, size_t bytes)
{
	uint8_t *to = reserve(bytes);

	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	output_size += bytes;
}

static void put_bytes(const void *bytes, size_t size)
{
	memcpy(reserve(size), bytes, size);
	output_size += size;
}

static void put_name(uint8_t type, const char *name)
{
	size_t size = strlen(name);

	/* FUSE has longer ones. Their length does not fit, so their bytes would be taken for records. */
	if (size > TREE_MAX_NAME_BYTES)
		builtin_fail(ENAMETOOLONG, "list(%s)", levels.path);
	put_number(type, 1);
	put_number(size, 1);
	put_bytes(name, size);
}

static void put_entry(uint8_t type, const char *name, const struct stat *found)
{
	put_name(type, name);
	put_number(found->st_mode & TREE_MODE_BITS, 2);
	put_number((uint64_t)found->st_mtim.tv_sec, 8);
	put_number((uint64_t)found->st_mtim.tv_nsec, 4);
}

static void put_skipped(const char *name, uint8_t reason)
{
	put_name(TREE_SKIPPED, name);
	put_number(reason, 1);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Where data begins at or behind *at, and where it ends. False if only a hole follows. */
static bool find_data(int fd, off_t *at, off_t *end, off_t size)
{
	off_t data = lseek(fd, *at, SEEK_DATA);

	*end = size;
	/* Not every file system knows. */
	if (data < 0)
		return errno != ENXIO;
	if (data >= size)
		return false;
	*at = data;
	data = lseek(fd, *at, SEEK_HOLE);
	if (data > *at && data < size)
		*end = data;
	return true;
}

/* Writes an extent of at most a piece. Returns its size, which is 0 at the end of the file. */
static size_t pack_piece(int fd, off_t at, off_t end, bool is_sparse, const char *name)
{
	size_t most = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
	uint8_t *piece = reserve(EXTENT_HEADER_BYTES + PIECE_BYTES) + EXTENT_HEADER_BYTES;
	ssize_t size;

	do
		size = pread(fd, piece, most, at);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		builtin_fail(errno, "read(%s)", levels_path(&levels, name));
	if (size == 0 || (is_sparse && is_zero(piece, (size_t)size)))
		return (size_t)size;
	put_number(TREE_EXTENT, 1);
	put_number((uint64_t)at, 8);
	put_number((uint64_t)size, 4);
	output_size += (size_t)size;
	return (size_t)size;
}

static void pack_content(int fd, const struct stat *found, const char *name)
{
	off_t size = found->st_size;
	bool is_sparse = found->st_blocks < size / BLOCK_BYTES;
	struct stat now;
	off_t end = is_sparse ? 0 : size;
	off_t at = 0;
	bool is_short = false;

	while (at < size) {
		size_t count;

		if (at >= end && !find_data(fd, &at, &end, size))
			break;
		count = pack_piece(fd, at, end, is_sparse, name);
		is_short = count == 0;
		if (is_short)
			break;
		at += (off_t)count;
	}
	if (fstat(fd, &now) < 0)
		builtin_fail(errno, "fstat(%s)", levels_path(&levels, name));
	put_number(TREE_FILE_END, 1);
	put_number(is_short || now.st_size < size ? TREE_SHRANK : 0, 1);
}

/* What was there a moment ago may be gone, or something else. */
static bool has_vanished(int error)
{
	return levels.count > 0 && (error == ENOENT || error == ELOOP || error == ENOTDIR || error == ENXIO);
}

static void pack_file(int directory, const char *path, const char *name)
{
	int fd = openat(directory, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat found;

	if (fd < 0 && has_vanished(errno)) {
		put_skipped(name, TREE_REASON_VANISHED);
		return;
	}
	if (fd < 0)
		builtin_fail(errno, "open(%s)", levels_path(&levels, path));
	if (fstat(fd, &found) < 0)
		builtin_fail(errno, "fstat(%s)", levels_path(&levels, path));
	if (S_ISREG(found.st_mode)) {
		put_entry(TREE_FILE, name, &found);
		put_number((uint64_t)found.st_size, 8);
		pack_content(fd, &found, path);
	} else {
		put_skipped(name, TREE_REASON_VANISHED);
	}
	(void)close(fd);
}

static void pack_link(int directory, const char *path, const char *name, const struct stat *found)
{
	char target[TREE_MAX_TARGET_BYTES + 1];
	ssize_t size = readlinkat(directory, path, target, sizeof(target));

	if (size < 0 && (has_vanished(errno) || errno == EINVAL)) {
		put_skipped(name, TREE_REASON_VANISHED);
		return;
	}
	if (size < 0 || size > TREE_MAX_TARGET_BYTES)
		builtin_fail(size < 0 ? errno : ENAMETOOLONG, "readlink(%s)", levels_path(&levels, path));
	put_entry(TREE_LINK, name, found);
	put_number((uint64_t)size, 2);
	put_bytes(target, (size_t)size);
}

/* As getdents64(2) has it. */
struct listed {
	uint64_t inode;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

static struct names *add_name(struct names *names, const char *name)
{
	size_t size = strlen(name) + 1;

	if (names == NULL || size > names->room - names->size) {
		size_t room = names == NULL ? PIECE_BYTES / 16 : 2 * names->room;
		size_t used = names == NULL ? 0 : names->size;

		names = realloc(names, sizeof(*names) + room);
		if (names == NULL)
			builtin_fail(ENOMEM, "list(%s)", levels.path);
		names->at = 0;
		names->size = used;
		names->room = room;
	}
	memcpy(names->bytes + names->size, name, size);
	names->size += size;
	return names;
}

static struct names *read_names(int fd)
{
	static _Alignas(struct listed) char list[32768];
	struct names *names = NULL;

	for (;;) {
		long size = syscall(SYS_getdents64, fd, list, sizeof(list));

		/* ENOENT: it was removed after it was opened, so nothing is in it. */
		if (size == 0 || (size < 0 && errno == ENOENT))
			return names;
		if (size < 0)
			builtin_fail(errno, "list(%s)", levels.path);
		for (long at = 0; at < size;) {
			const struct listed *listed = (const void *)(list + at);

			if (strcmp(listed->name, ".") != 0 && strcmp(listed->name, "..") != 0)
				names = add_name(names, listed->name);
			at += listed->size;
		}
	}
}

static void pack_directory(int directory, const char *path, const char *name)
{
	int fd = openat(directory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat found;

	if (fd < 0 && has_vanished(errno)) {
		put_skipped(name, TREE_REASON_VANISHED);
		return;
	}
	if (fd < 0)
		builtin_fail(errno, "open(%s)", levels_path(&levels, path));
	if (fstat(fd, &found) < 0)
		builtin_fail(errno, "fstat(%s)", levels_path(&levels, path));
	if (levels.count >= TREE_MAX_DEPTH)
		builtin_fail(ELOOP, "open(%s)", levels_path(&levels, path));
	put_entry(TREE_DIRECTORY, name, &found);
	levels_enter(&levels, fd, path);
	levels_top(&levels)->kept = read_names(fd);
}

static void pack_entry(int directory, const char *path, const char *name)
{
	struct stat found;

	if (fstatat(directory, path, &found, AT_SYMLINK_NOFOLLOW) < 0) {
		if (!has_vanished(errno))
			builtin_fail(errno, "stat(%s)", levels_path(&levels, path));
		put_skipped(name, TREE_REASON_VANISHED);
	} else if (S_ISDIR(found.st_mode)) {
		pack_directory(directory, path, name);
	} else if (S_ISREG(found.st_mode)) {
		pack_file(directory, path, name);
	} else if (S_ISLNK(found.st_mode)) {
		pack_link(directory, path, name, &found);
	} else if (S_ISFIFO(found.st_mode)) {
		put_entry(TREE_FIFO, name, &found);
	} else {
		put_skipped(name, S_ISSOCK(found.st_mode) ? TREE_REASON_SOCKET : TREE_REASON_DEVICE);
	}
}

void builtin_pack(char **argv)
{
	pack_entry(AT_FDCWD, argv[0], "");
	while (levels.count > 0) {
		struct names *names = levels_top(&levels)->kept;

		if (names != NULL && names->at < names->size) {
			const char *name = names->bytes + names->at;

			names->at += strlen(name) + 1;
			pack_entry(levels_top(&levels)->fd, name, name);
			continue;
		}
		free(names);
		put_number(TREE_LEAVE, 1);
		levels_leave(&levels);
	}
	put_number(TREE_END, 1);
	flush();
}
