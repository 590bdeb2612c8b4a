/* list PATH: writes the record of each entry of a directory. */
#include "builtins/builtins.h"
#include "builtins/component.h"
#include "builtins/entry.h"
#include "builtins/output.h"

#include <dirent.h>
#include <errno.h>

static void write_entry(DIR *directory, const char *name)
{
	if (component_is_dots(name))
		return;
	/* Others may remove it meanwhile. */
	if (entry_write(dirfd(directory), name, name, false) < 0 && errno != ENOENT)
		/* It is there, but this user may not look at it, or its file system does not answer. */
		entry_write_unknown(name);
}

void builtin_list(char **argv)
{
	DIR *directory = opendir(argv[0]);
	const struct dirent *entry;

	if (directory == NULL)
		builtin_fail(errno, "opendir(%s)", argv[0]);
	while (errno = 0, (entry = readdir(directory)) != NULL)
		write_entry(directory, entry->d_name);
	if (errno != 0)
		builtin_fail(errno, "readdir(%s)", argv[0]);
	(void)closedir(directory);
	output_flush();
}
