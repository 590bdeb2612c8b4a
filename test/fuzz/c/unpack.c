/*
 * The stream of a tree that the native init unpacks, while others work on the same files: the first part of the input is
 * what they do.
 *
 * What must hold: names lead out of no directory, no link is followed, nothing is made in what is another one's, only
 * whole files get their names, and nothing unfinished is left.
 */
#include "builtins/builtins.h"
#include "builtins/unfinished.h"
#include "harness/check.h"
#include "harness/input.h"
#include "harness/small_fs.h"
#include "harness/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define MOST_BLOCKS 4096

static jmp_buf ended;
/* The program ends without freeing anything. */
static void *blocks[MOST_BLOCKS];
static size_t block_count;
static bool is_running;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	void *block;

	if (is_running && block_count == MOST_BLOCKS)
		return NULL;
	block = __real_malloc(size);
	if (is_running)
		blocks[block_count++] = block;
	return block;
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	for (size_t i = 0; is_running && block != NULL && i < block_count; i++) {
		if (blocks[i] == block) {
			blocks[i] = blocks[--block_count];
			break;
		}
	}
	__real_free(block);
}

_Noreturn void __wrap_builtin_fail(int error, const char *format, ...);
_Noreturn void __wrap_builtin_fail(int error, const char *format, ...)
{
	check(error > 0 && format[0] != '\0', "a failure has an errno and says what failed");
	unfinished_remove();
	longjmp(ended, 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	state_keep();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct piece events = input_piece(&input);
	struct input others = {events.data, events.size};
	uint8_t *stream = input_exact(input.at, input.left);
	char path[] = "place";
	char name[] = "tree";

	state_reset();
	small_fs_start(&others, (struct piece){stream, input.left});
	is_running = true;
	if (setjmp(ended) == 0)
		builtin_unpack((char *[]){path, name, NULL});
	is_running = false;
	small_fs_end();
	while (block_count > 0)
		__real_free(blocks[--block_count]);
	free(stream);
	return 0;
}
