/*
 * The command line of root-view, with paths of a user's choice.
 *
 * What must hold: what is accepted has a point, a source that is absolute if it has a root, and no more entries than words.
 * What is replaced is so for no other process.
 */
#include "arguments.h"

#include "harness/check.h"
#include "harness/input.h"

#include <stdlib.h>

#define MOST_WORDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char **words = input_words(data, size, MOST_WORDS);
	struct arguments options = {.where = NOWHERE};
	size_t count = 0;

	while (words[count] != NULL)
		count++;
	/* As main() has it: with room for the program's name. */
	struct view_entry *entries = calloc(count + 1, sizeof(*entries));
	struct disk *disks = calloc(count + 1, sizeof(*disks));

	check(entries != NULL && disks != NULL, "memory");
	if (arguments_parse(words, &options, entries, disks)) {
		check(options.where != NOWHERE && options.view.point[0] == '/', "a view has a point");
		check(options.view.source == NULL || options.view.source[0] == '/', "a source is absolute");
		check(options.replaced == NULL || (options.where == PRIVATE && options.replacement[0] == '/'),
		      "what is replaced is COMMAND's");
		check(options.view.count + options.disks.count <= count, "no more entries than words");
		check(options.command >= words && options.command <= words + count, "the command is what is left");
	}
	free(entries);
	free(disks);
	input_free_words(words);
	return 0;
}
