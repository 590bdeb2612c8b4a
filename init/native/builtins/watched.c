#include "builtins/watched.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#ifdef VS_TEST
#define MOST_DIRECTORIES 512
#else
#define MOST_DIRECTORIES 32768
#endif

struct watched watched_all[MOST_DIRECTORIES];
size_t watched_count;

/* Where it is, or where it would be. */
static size_t place_of(int watch)
{
	size_t low = 0;

	for (size_t high = watched_count; low < high;) {
		size_t middle = (low + high) / 2;
		bool is_above = watched_all[middle].watch < watch;

		low = is_above ? middle + 1 : low;
		high = is_above ? high : middle;
	}
	return low;
}

struct watched *watched_find(int watch)
{
	size_t at = place_of(watch);

	return at < watched_count && watched_all[at].watch == watch ? &watched_all[at] : NULL;
}

bool watched_put(int watch, int above, const char *name)
{
	struct watched *directory = watched_find(watch);
	size_t at = place_of(watch);
	char *copy = NULL;

	errno = EMFILE;
	if (directory != NULL || watched_count < MOST_DIRECTORIES)
		copy = strdup(name);
	if (copy == NULL)
		return false;
	if (directory == NULL) {
		directory = &watched_all[at];
		memmove(directory + 1, directory, (watched_count++ - at) * sizeof(*directory));
		*directory = (struct watched){.watch = watch, .is_new = true};
	}
	free(directory->name);
	directory->name = copy;
	directory->above = above;
	directory->is_unlisted = true;
	directory->is_found = true;
	return true;
}

void watched_drop(struct watched *directory)
{
	free(directory->name);
	memmove(directory, directory + 1, (size_t)(&watched_all[--watched_count] - directory) * sizeof(*directory));
}

bool watched_is_above(int watch, int below)
{
	const struct watched *directory = watched_find(below);

	while (directory != NULL && directory->watch != watch)
		directory = watched_find(directory->above);
	return directory != NULL;
}

const char *watched_path(int watch, const char *name)
{
	/* With a slash that is not needed at its beginning. */
	static char path[PATH_MAX + 1];
	size_t at = sizeof(path) - 1;
	const struct watched *directory = watched_find(watch);

	while (directory != NULL && directory->above != HAS_LEFT) {
		size_t size = strlen(name);

		if (size + 1 > at) {
			errno = ENAMETOOLONG;
			return NULL;
		}
		at -= size;
		memcpy(path + at, name, size);
		if (directory->above == NO_DIRECTORY)
			return path + at;
		path[--at] = '/';
		name = directory->name;
		directory = watched_find(directory->above);
	}
	errno = ENOENT;
	return NULL;
}
