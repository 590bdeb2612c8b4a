#include "builtins/tree_path.h"

#include <stdio.h>
#include <string.h>

void tree_path_enter(struct tree_path *path, const char *name)
{
	size_t size = tree_path_size(path, name);

	if (size == 0) {
		path->beyond++;
		return;
	}
	(void)snprintf(path->text + path->size, sizeof(path->text) - path->size, "%s%s", path->size == 0 ? "" : "/",
		       name);
	path->size = size;
}

void tree_path_leave(struct tree_path *path)
{
	const char *slash;

	if (path->beyond > 0) {
		path->beyond--;
		return;
	}
	slash = strrchr(path->text, '/');
	path->size = slash == NULL ? 0 : (size_t)(slash - path->text);
	path->text[path->size] = '\0';
}

size_t tree_path_size(const struct tree_path *path, const char *name)
{
	size_t size = path->size + (path->size > 0) + strlen(name);

	return path->beyond > 0 || size > TREE_MAX_SHARED_PATH_BYTES ? 0 : size;
}
