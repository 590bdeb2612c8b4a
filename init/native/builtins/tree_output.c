#include "builtins/tree_output.h"

#include "builtins/builtins.h"
#include "builtins/tree.h"
#include "shared/write_all.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define EXTENT_HEADER_BYTES 13
#define OUTPUT_BYTES (4 * (TREE_PIECE_BYTES + EXTENT_HEADER_BYTES))

static uint8_t output[OUTPUT_BYTES];
static size_t output_size;

void tree_flush(void)
{
	if (write_all(STDOUT_FILENO, output, output_size) < 0)
		builtin_fail(errno, "write(stdout)");
	output_size = 0;
}

/* Room for `size` bytes, which are in the stream when they are added to output_size. */
static uint8_t *reserve(size_t size)
{
	if (size > sizeof(output) - output_size)
		tree_flush();
	return output + output_size;
}

void tree_put_number(uint64_t value, size_t bytes)
{
	uint8_t *to = reserve(bytes);

	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	output_size += bytes;
}

void tree_put_bytes(const void *bytes, size_t size)
{
	memcpy(reserve(size), bytes, size);
	output_size += size;
}

void tree_put_name(uint8_t type, const char *name)
{
	size_t size = strlen(name);

	tree_put_number(type, 1);
	tree_put_number(size, 1);
	tree_put_bytes(name, size);
}

void tree_put_entry(uint8_t type, const char *name, const struct stat *found)
{
	tree_put_name(type, name);
	tree_put_number(found->st_mode & TREE_MODE_BITS, 2);
	tree_put_number((uint64_t)found->st_mtim.tv_sec, 8);
	tree_put_number((uint64_t)found->st_mtim.tv_nsec, 4);
}

void tree_put_skipped(const char *name, uint8_t reason)
{
	tree_put_name(TREE_SKIPPED, name);
	tree_put_number(reason, 1);
}

uint8_t *tree_extent_room(void)
{
	return reserve(EXTENT_HEADER_BYTES + TREE_PIECE_BYTES) + EXTENT_HEADER_BYTES;
}

void tree_put_extent(uint64_t offset, size_t size)
{
	tree_put_number(TREE_EXTENT, 1);
	tree_put_number(offset, 8);
	tree_put_number(size, 4);
	output_size += size;
}
