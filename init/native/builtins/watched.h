/* The table of the directories that watch_tree watches. */
#ifndef VS_WATCHED_H
#define VS_WATCHED_H

#include <stdbool.h>
#include <stddef.h>

#define NO_DIRECTORY 0
#define HAS_LEFT (-1)

/* A watch of inotify goes with its directory, whatever that is called. */
struct watched {
	int watch;
	/* The watch of the directory above, or NO_DIRECTORY: the root, or HAS_LEFT. */
	int above;
	/* Its entries are still to be listed. */
	bool is_unlisted;
	/* They were never listed: nothing was told of them. */
	bool is_new;
	/* It was found when the tree was looked through again. */
	bool is_found;
	char *name;
};

/* All of them, sorted by `watch`. */
extern struct watched watched_all[];
extern size_t watched_count;

/* Returns NULL if there is no such watch. */
struct watched *watched_find(int watch);

/*
 * Adds a watch, or gives it another place. Its entries are to be listed then.
 *
 * @return false: there is no room for more, with errno set
 */
bool watched_put(int watch, int above, const char *name);
void watched_drop(struct watched *directory);

/* Whether a directory is another one, or above it. */
bool watched_is_above(int watch, int below);

/*
 * The path of an entry from the root of the tree, until the next call.
 *
 * @return NULL with errno set: ENOENT if it is not in the tree, or ENAMETOOLONG
 */
const char *watched_path(int watch, const char *name);

#endif
