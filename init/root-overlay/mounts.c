#include "mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel writes blanks, line ends and backslashes as three octal digits. proc_pid_mountinfo(5) */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
		    from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* The fifth word, where it is mounted, relative to the root; NULL for a mount elsewhere. */
static const char *path_below(char *line, const char *root)
{
	size_t size = strlen(root);
	char *rest;
	char *word = strtok_r(line, " ", &rest);

	for (int i = 0; i < 4 && word != NULL; i++)
		word = strtok_r(NULL, " ", &rest);
	if (word == NULL)
		return NULL;
	unescape(word);
	if (strncmp(word, root, size) != 0)
		return NULL;
	return word[size] == '/' ? word + size + 1 : word[size] == '\0' ? word + size : NULL;
}

static int compare(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Sorted, a parent is before what is below it. Of several mounts on one path the last one is seen. */
static void sort(struct mounts *mounts)
{
	size_t kept = 0;

	qsort(mounts->paths, mounts->count, sizeof(mounts->paths[0]), compare);
	for (size_t i = 0; i < mounts->count; i++) {
		if (kept == 0 || strcmp(mounts->paths[i], mounts->paths[kept - 1]) != 0)
			mounts->paths[kept++] = mounts->paths[i];
	}
	mounts->count = kept;
}

static int add(struct mounts *mounts, const char *path)
{
	if (mounts->count == MAX_MOUNTS) {
		errno = E2BIG;
		return -1;
	}
	mounts->paths[mounts->count] = strdup(path);
	return mounts->paths[mounts->count++] == NULL ? -1 : 0;
}

int mounts_read(const char *root, struct mounts *mounts)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	int result = table == NULL ? -1 : 0;

	while (result == 0 && getline(&line, &size, table) > 0) {
		const char *path = path_below(line, root);

		if (path != NULL)
			result = add(mounts, path);
	}
	free(line);
	if (table != NULL)
		(void)fclose(table);
	if (result != 0)
		return -1;
	sort(mounts);
	if (mounts->count == 0 || mounts->paths[0][0] != '\0') {
		errno = ENOTDIR;
		return -1;
	}
	return 0;
}
