/* rename FROM TO */
#include "builtins/builtins.h"

#include <errno.h>
#include <stdio.h>

void builtin_rename(char **argv)
{
	if (rename(argv[0], argv[1]) < 0)
		builtin_fail(errno, "rename(%s, %s)", argv[0], argv[1]);
}
