#include "arguments.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
	"usage: supervisor DIRECTORY [--log FILE] [--begin FILE] [--kill] [--small-pages] [COMMAND ARG...]\n";

/* True if `word` is the option `name`, which has a value; that is taken. */
static bool takes(char ***words, const char *name, const char **value)
{
	if (strcmp(**words, name) != 0 || (*words)[1] == NULL)
		return false;
	*value = (*words)[1];
	*words += 2;
	return true;
}

static bool is_flag(char ***words, const char *name, bool *flag)
{
	if (strcmp(**words, name) != 0)
		return false;
	*flag = true;
	*words += 1;
	return true;
}

bool arguments_parse(struct arguments *arguments, char *argv[])
{
	memset(arguments, 0, sizeof(*arguments));
	if (argv[0] == NULL || argv[1] == NULL || argv[1][0] != '/') {
		(void)!write(2, USAGE, sizeof(USAGE) - 1);
		return false;
	}
	arguments->directory = argv[1];
	char **words = argv + 2;

	while (*words != NULL &&
	       (takes(&words, "--log", &arguments->log) || takes(&words, "--begin", &arguments->begin) ||
		is_flag(&words, "--kill", &arguments->kill) ||
		is_flag(&words, "--small-pages", &arguments->small_pages)))
		;
	arguments->command = words;
	return true;
}
