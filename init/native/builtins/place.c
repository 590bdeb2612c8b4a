#include "builtins/place.h"

#include "builtins/builtins.h"
#include "builtins/component.h"
#include "builtins/parent.h"
#include "builtins/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* Of a path that is no directory: what is above it, and its name there. */
static struct place find_new(const char *argument)
{
	struct place place = {.path = "."};
	char *path = strdup(argument);
	char *slash;

	if (path == NULL)
		builtin_fail(ENOMEM, "open(%s)", argument);
	place.is_directory = parent_cut_slashes(path) < strlen(argument);
	slash = strrchr(path, '/');
	if (slash != NULL) {
		*slash = '\0';
		place.path = slash == path ? "/" : path;
	}
	place.name = slash == NULL ? path : slash + 1;
	if (strlen(place.name) > TREE_MAX_NAME_BYTES)
		builtin_fail(ENAMETOOLONG, "open(%s)", argument);
	if (!component_is_name(place.name))
		builtin_fail(ENOENT, "open(%s)", argument);
	return place;
}

struct place place_find(char *path, char *name)
{
	struct place place;
	struct stat found;

	if (stat(path, &found) < 0 || !S_ISDIR(found.st_mode))
		place = find_new(path);
	else if (name[0] == '\0')
		place = (struct place){.path = path, .name = "."};
	else if (component_is_name(name))
		place = (struct place){.path = path, .name = name};
	else
		builtin_fail(EINVAL, "%s", name);
	place.directory = open(place.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place.directory < 0)
		builtin_fail(errno, "open(%s)", place.path);
	return place;
}
