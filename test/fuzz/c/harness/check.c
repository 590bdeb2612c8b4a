#include "harness/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool exits;

void check_by_exit(void)
{
	exits = true;
}

_Noreturn void check_failed(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s (errno: %s)\n", file, line, what, strerror(errno));
	if (exits)
		_exit(1);
	abort();
}
