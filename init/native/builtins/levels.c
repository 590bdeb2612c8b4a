#include "builtins/levels.h"

#include "builtins/builtins.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct level *top(struct levels *levels)
{
	return &levels->items[levels->count - 1];
}

const struct level *levels_top(const struct levels *levels)
{
	return &levels->items[levels->count - 1];
}

void levels_keep(struct levels *levels, void *kept)
{
	top(levels)->kept = kept;
}

static void extend_path(struct levels *levels, size_t from, const char *name)
{
	const char *slash = from == 0 || levels->path[from - 1] == '/' ? "" : "/";

	(void)snprintf(levels->path + from, sizeof(levels->path) - from, "%s%s", slash, name);
}

void levels_enter(struct levels *levels, int fd, const char *name)
{
	struct level *level = &levels->items[levels->count];
	struct stat found;

	if (levels->count > TREE_MAX_DEPTH)
		levels_fail(levels, ELOOP, "open", name);
	if (fstat(fd, &found) < 0)
		levels_fail(levels, errno, "fstat", name);
	if (levels->count >= LEVELS_OPEN + LEVELS_STAY_OPEN) {
		struct level *above = level - LEVELS_OPEN;

		if (above->fd >= 0)
			(void)close(above->fd);
		above->fd = -1;
	}
	*level = (struct level){fd, found.st_dev, found.st_ino, strlen(levels->path), NULL};
	extend_path(levels, level->above, name);
	levels->count++;
}

void levels_open_above(struct levels *levels)
{
	struct level *above;
	struct stat found;

	if (levels->count < 2)
		return;
	above = top(levels) - 1;
	if (above->fd >= 0)
		return;
	/* An entry of it was opened, so it may be searched. */
	above->fd = openat(levels_top(levels)->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (above->fd < 0 || fstat(above->fd, &found) < 0)
		builtin_fail(errno, "open(%s/..)", levels->path);
	if (found.st_dev != above->device || found.st_ino != above->inode)
		builtin_fail(ESTALE, "open(%s/..)", levels->path);
}

void levels_leave(struct levels *levels)
{
	struct level *level = top(levels);

	levels_open_above(levels);
	(void)close(level->fd);
	levels->path[level->above] = '\0';
	levels->count--;
}

const char *levels_path(const struct levels *levels, const char *name)
{
	static char path[sizeof(levels->path) + TREE_MAX_NAME_BYTES + 2];
	size_t size = strlen(levels->path);
	const char *slash = size == 0 || levels->path[size - 1] == '/' ? "" : "/";

	(void)snprintf(path, sizeof(path), "%s%s%s", levels->path, slash, name);
	return path;
}

_Noreturn void levels_fail(const struct levels *levels, int error, const char *call, const char *name)
{
	builtin_fail(error, "%s(%s)", call, levels_path(levels, name));
}
