#include "environment.h"

#include <string.h>
#include <unistd.h>

void environment_wipe(void)
{
	static char *none[] = {NULL};

	for (char **word = environ; word != NULL && *word != NULL; word += 1)
		explicit_bzero(*word, strlen(*word));
	environ = none;
}
