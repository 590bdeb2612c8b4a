#include "builtins/tree_input.h"

#include "builtins/builtins.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES 262144

static uint8_t input[INPUT_BYTES];
static size_t input_at;
static size_t input_end;

_Noreturn void tree_malformed(const char *what)
{
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
	if (size < 0)
		builtin_fail(errno, "read(stdin)");
	if (size == 0)
		tree_malformed("it ends before the tree does");
	input_end += (size_t)size;
}

/* Bytes of the stream, until the next call; fewer than the buffer has room for. */
static const uint8_t *get_bytes(size_t size)
{
	const uint8_t *bytes;

	while (input_end - input_at < size)
		fill();
	bytes = input + input_at;
	input_at += size;
	return bytes;
}

uint64_t tree_get_number(size_t bytes)
{
	const uint8_t *from = get_bytes(bytes);
	uint64_t value = 0;

	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

void tree_get_text(char *to, size_t size)
{
	memcpy(to, get_bytes(size), size);
	to[size] = '\0';
	if (strlen(to) != size)
		tree_malformed("a NUL in a name");
}

const uint8_t *tree_get_some(size_t most, size_t *size)
{
	if (input_at == input_end)
		fill();
	*size = input_end - input_at < most ? input_end - input_at : most;
	return get_bytes(*size);
}
