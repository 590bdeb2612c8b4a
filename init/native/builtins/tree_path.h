/* Where in a tree it goes on: the names of the directories below its root, as far as files with several names need it. */
#ifndef VS_TREE_PATH_H
#define VS_TREE_PATH_H

#include "builtins/tree.h"

#include <stddef.h>

struct tree_path {
	size_t size;
	/* Directories that were entered where the path is too long. */
	size_t beyond;
	char text[TREE_MAX_SHARED_PATH_BYTES + 1];
};

/* A directory below the root. */
void tree_path_enter(struct tree_path *path, const char *name);
/* The last one, or the root. */
void tree_path_leave(struct tree_path *path);

/* The size of the path of an entry there; 0: it is too long for a file with several names. */
size_t tree_path_size(const struct tree_path *path, const char *name);

#endif
