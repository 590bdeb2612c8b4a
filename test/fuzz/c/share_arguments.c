/*
 * libvirt's command line for virtiofsd, which share-server reads and completes.
 *
 * What must hold: the words end, stay within their room, and name the share that was made where the share stood.
 */
#include "arguments.h"

#include "harness/check.h"
#include "harness/input.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arguments arguments = {.program = "/virtiofsd"};
	char **words;
	int count = 0;

	if (size < 1)
		return -1;
	words = input_words(data + 1, size - 1, 2 * MAX_WORDS);
	while (words[count] != NULL)
		count++;
	arguments.handles = (data[0] & 1) != 0;
	arguments.walled = (data[0] & 2) != 0;
	arguments.layers = (data[0] & 4) != 0;
	(void)arguments_are_question(count, words);
	if (arguments_read(&arguments, count, words) &&
	    arguments_complete(&arguments, count, words, data[0] * 1000UL)) {
		size_t made = 0;

		while (arguments.words[made] != NULL)
			made++;
		check(made <= MAX_WORDS && made >= (size_t)count + 2, "all words are there");
		check(memchr(arguments.modcaps, '\0', sizeof(arguments.modcaps)) != NULL &&
			      strlen(arguments.modcaps) < sizeof(arguments.modcaps) - 1,
		      "capabilities fit");
		(void)arguments_capabilities(&arguments);
	}
	input_free_words(words);
	return 0;
}
