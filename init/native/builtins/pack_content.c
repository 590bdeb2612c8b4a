#include "builtins/pack_content.h"

#include "builtins/tree.h"
#include "builtins/tree_output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Of st_blocks. */
#define BLOCK_BYTES 512

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
static size_t pack_piece(int fd, off_t at, off_t end, bool is_sparse, const struct levels *levels, const char *name)
{
	size_t most = end - at < TREE_PIECE_BYTES ? (size_t)(end - at) : TREE_PIECE_BYTES;
	uint8_t *piece = tree_extent_room();
	ssize_t size;

	do
		size = pread(fd, piece, most, at);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		levels_fail(levels, errno, "read", name);
	if (size == 0 || (is_sparse && is_zero(piece, (size_t)size)))
		return (size_t)size;
	tree_put_extent((uint64_t)at, (size_t)size);
	return (size_t)size;
}

void pack_content(int fd, const struct stat *found, const struct levels *levels, const char *name)
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
		count = pack_piece(fd, at, end, is_sparse, levels, name);
		is_short = count == 0;
		if (is_short)
			break;
		at += (off_t)count;
	}
	if (fstat(fd, &now) < 0)
		levels_fail(levels, errno, "fstat", name);
	tree_put_number(TREE_FILE_END, 1);
	tree_put_number(is_short || now.st_size < size ? TREE_SHRANK : 0, 1);
}
