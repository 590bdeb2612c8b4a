#include "builtins/output.h"

#include "builtins/builtins.h"
#include "shared/write_all.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_BYTES 65536

static uint8_t output[OUTPUT_BYTES];
static size_t used;
/* Where the record begins that is being written. */
static size_t record_start;

static void put(const void *bytes, size_t size)
{
	if (size > sizeof(output) - used)
		builtin_fail(EOVERFLOW, "a record of more than %d bytes", RECORD_BYTES);
	memcpy(output + used, bytes, size);
	used += size;
}

static void encode_u32(uint8_t bytes[4], uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

void record_begin(void)
{
	if (sizeof(output) - used < RECORD_BYTES)
		output_flush();
	record_start = used;
	record_u32(0);
}

void record_u32(uint32_t value)
{
	uint8_t bytes[4];

	encode_u32(bytes, value);
	put(bytes, sizeof(bytes));
}

void record_u64(uint64_t value)
{
	record_u32((uint32_t)(value >> 32));
	record_u32((uint32_t)value);
}

void record_text(const char *text, size_t size)
{
	record_u32((uint32_t)size);
	put(text, size);
}

void record_end(void)
{
	encode_u32(output + record_start, (uint32_t)(used - record_start - 4));
}

void output_flush(void)
{
	if (write_all(STDOUT_FILENO, output, used) < 0)
		builtin_fail(errno, "write(stdout)");
	used = 0;
}
