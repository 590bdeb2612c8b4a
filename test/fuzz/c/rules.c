/*
 * The rules of qemu-wall, a file that the launcher writes.
 *
 * What must hold: each rule has an absolute path in the file, and there are no more than words.
 */
#include "rules.h"

#include "harness/check.h"
#include "harness/file.h"
#include "harness/input.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The text of the file, which the program keeps for good. */
static void *text;
static bool is_reading;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	void *block = __real_malloc(size);

	if (is_reading && text == NULL)
		text = block;
	return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = input_exact(data, size);
	struct rules rules = {.all = NULL};

	file_set(exact, size, 0);
	is_reading = true;
	if (rules_read(&rules, "rules") == 0) {
		check(rules.count <= size / 2, "no more rules than words");
		check(rules.report != NULL || rules.calls_only, "what is confined has a report");
		for (size_t i = 0; i < rules.count; i++)
			check(rules.all[i].path[0] == '/' && strlen(rules.all[i].path) < size, "a rule has a path");
	}
	is_reading = false;
	check(file_count_open() == 0, "the file is closed");
	file_set(NULL, 0, 0);
	free(exact);
	/* The program frees nothing, since it soon becomes another one. */
	free(rules.all);
	free(text);
	text = NULL;
	return 0;
}
