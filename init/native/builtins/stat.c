/* stat PATH FOLLOW: writes the record of a file, which has no name. */
#include "builtins/builtins.h"
#include "builtins/entry.h"
#include "builtins/output.h"

#include <errno.h>
#include <fcntl.h>

void builtin_stat(char **argv)
{
	if (entry_write(AT_FDCWD, argv[0], "", builtin_flag(argv[1])) < 0)
		builtin_fail(errno, "stat(%s)", argv[0]);
	output_flush();
}
