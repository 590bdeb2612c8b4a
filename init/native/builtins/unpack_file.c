#include "builtins/unpack_file.h"

#include "builtins/tree.h"
#include "builtins/tree_input.h"
#include "builtins/unfinished.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

struct file {
	int fd;
	uint64_t size;
	/* Where the last extent ends. */
	uint64_t end;
	const struct levels *levels;
	const char *name;
};

void unpack_file_write(const struct levels *levels, const char *name, int fd, const uint8_t *bytes, size_t size,
		       uint64_t at)
{
	while (size > 0) {
		ssize_t count = pwrite(fd, bytes, size, (off_t)at);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			levels_fail(levels, count < 0 ? errno : EIO, "write", name);
		bytes += count;
		size -= (size_t)count;
		at += (uint64_t)count;
	}
}

static void get_extent(struct file *file)
{
	uint64_t at = tree_get_number(8);
	size_t size = (size_t)tree_get_number(4);

	if (size == 0 || size > TREE_MAX_EXTENT_BYTES || at < file->end || at > file->size || size > file->size - at)
		tree_malformed("an extent");
	file->end = at + size;
	while (size > 0) {
		size_t count;
		const uint8_t *bytes = tree_get_some(size, &count);

		unpack_file_write(file->levels, file->name, file->fd, bytes, count, at);
		at += count;
		size -= count;
	}
}

int unpack_file(const struct levels *levels, const char *name)
{
	struct file file = {.size = tree_get_number(8), .levels = levels, .name = name};
	uint64_t type;

	if (file.size > INT64_MAX)
		tree_malformed("a size");
	file.fd = unfinished_open(levels_top(levels)->fd);
	if (file.fd < 0)
		levels_fail(levels, errno, "open", name);
	while ((type = tree_get_number(1)) == TREE_EXTENT)
		get_extent(&file);
	if (type != TREE_FILE_END)
		tree_malformed("a record in a file");
	(void)tree_get_number(1);
	if (file.end < file.size && ftruncate(file.fd, (off_t)file.size) < 0)
		levels_fail(levels, errno, "ftruncate", name);
	return file.fd;
}
