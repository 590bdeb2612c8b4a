/*
 * A guest may have filled a shared directory in here with a tree as deep as it likes. So no path of an entry is made,
 * and no descriptor for each level: a directory that is not empty moves up to the top, and is emptied there.
 */
#include "tree.h"

#include "timing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Goes last, see tree.h. */
#define LAST "owner"

/* A directory that moves up is called PREFIX and a number. */
#define PREFIX ".up-"

struct removal {
	/* The directory that is removed. */
	int top;
	dev_t device;
	long long deadline;
	unsigned long long moved;
};

/*
 * Gives the owner of a directory all rights to it, which programs in the sandbox may have taken away. A link in its
 * place, which others may make at any moment, is not followed.
 */
static void give_rights(const struct removal *removal, int parent, const char *name)
{
	char path[32];
	struct stat info;
	int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fstat(fd, &info) == 0 && (removal == NULL || info.st_dev == removal->device) &&
	    (info.st_mode & S_IRWXU) != S_IRWXU)
		(void)chmod(path, S_IRWXU);
	(void)close(fd);
}

/* Opens a directory that is on the same mount; its owner gets the right to empty it. */
static int open_below(const struct removal *removal, int parent, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
	struct stat info;

	give_rights(removal, parent, name);
	int fd = (int)syscall(SYS_openat2, parent, name, &how, sizeof(how));

	/* Filters of containers that do not know the call refuse it. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(parent, name, (int)how.flags);
	if (fd >= 0 && (fstat(fd, &info) != 0 || info.st_dev != removal->device)) {
		(void)close(fd);
		errno = EXDEV;
		return -1;
	}
	return fd;
}

/* 0 when the entry has been removed; -1 with errno, ENOTEMPTY for a directory that is not empty. */
static int remove_entry(int parent, const char *name)
{
	if (unlinkat(parent, name, 0) == 0)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno == EEXIST)
		errno = ENOTEMPTY;
	return -1;
}

static int move_up(struct removal *removal, int parent, const char *name)
{
	char up[64];

	/* It gets another parent, which takes the right to write to it. */
	give_rights(removal, parent, name);
	do {
		(void)snprintf(up, sizeof(up), PREFIX "%llu", removal->moved++);
		if (renameat(parent, name, removal->top, up) == 0 || errno == ENOENT)
			return 0;
	} while (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR);
	return -1;
}

static bool is_late(const struct removal *removal)
{
	return removal->deadline > 0 && now_ms() >= removal->deadline;
}

/* What to do with an entry that is a directory and not empty. */
typedef int treat(struct removal *removal, int parent, const char *name);

/* Removes all entries of a directory; closes `fd`. */
static int empty(struct removal *removal, int fd, treat *full)
{
	DIR *entries = fdopendir(fd);
	bool again = true;
	int result = 0;

	if (entries == NULL) {
		(void)close(fd);
		return -1;
	}
	/* An entry may be passed over while others go. */
	while (again && result == 0) {
		again = false;
		rewinddir(entries);
		for (struct dirent *entry = readdir(entries); entry != NULL && result == 0; entry = readdir(entries)) {
			const char *name = entry->d_name;

			if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
			    (fd == removal->top && strcmp(name, LAST) == 0))
				continue;
			if (is_late(removal)) {
				errno = ETIMEDOUT;
				result = -1;
			} else if (remove_entry(fd, name) == 0) {
				again = true;
			} else if (errno == ENOTEMPTY) {
				again = true;
				result = full(removal, fd, name);
			} else if (errno != ENOENT) {
				/* One that was removed by others is no reason to look again. */
				result = -1;
			}
		}
	}
	int failed = errno;

	(void)closedir(entries);
	errno = failed;
	return result;
}

/* Empties a directory of the top and removes it. What is a directory in it and not empty moves up. */
static int remove_full(struct removal *removal, int parent, const char *name)
{
	int fd = open_below(removal, parent, name);

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (empty(removal, fd, move_up) != 0)
		return -1;
	return remove_entry(parent, name) == 0 || errno == ENOENT ? 0 : -1;
}

static int empty_top(const char *path, long long deadline)
{
	struct stat info;

	give_rights(NULL, AT_FDCWD, path);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &info) != 0) {
		(void)close(fd);
		return -1;
	}
	struct removal removal = {.top = fd, .device = info.st_dev, .deadline = deadline};

	if (empty(&removal, fd, remove_full) != 0)
		return -1;
	char last[4096];

	if ((size_t)snprintf(last, sizeof(last), "%s/" LAST, path) >= sizeof(last)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return unlink(last) != 0 && errno != ENOENT ? -1 : rmdir(path);
}

int tree_remove(const char *path, long long deadline)
{
	return empty_top(path, deadline) == 0 || errno == ENOENT ? 0 : -1;
}
