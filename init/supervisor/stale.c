#include "stale.h"

#include "alias.h"
#include "locks.h"
#include "owner.h"
#include "remains.h"
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 4096

/* How long a supervisor at work may take, in milliseconds: what ends after SIGTERM gets SIGKILL before that. */
#define WORK_MS 8000

/* How the name of a directory begins that a launcher is making, and how long that may take at most, in seconds. */
#define UNFINISHED ".claim-"
#define UNFINISHED_S 60

/* How long the lock of a killed supervisor may take to be released, in milliseconds. */
#define RELEASE_MS 2000

static int fail(const char *directory, const char *reason)
{
	(void)dprintf(2, "%s: %s\n", directory, reason);
	return REMOVAL_FAILED;
}

/* Move it away first, so that nobody ever sees half a directory at its path. */
static int remove_aside(const char *directory, int lock)
{
	char aside[PATH_BYTES];
	const char *name = strrchr(directory, '/');
	int removals = lock_removals(directory);

	if (removals < 0)
		return fail(directory, "another process holds .lock beside it");
	if (name == NULL || (size_t)snprintf(aside, sizeof(aside), "%.*s/.stale-%d", (int)(name - directory), directory,
					     (int)getpid()) >= sizeof(aside))
		return fail(directory, strerror(ENAMETOOLONG));
	bool moved = owner_is(directory, lock) && rename(directory, aside) == 0;
	int failed = errno;

	(void)close(removals);
	/* Else another process has removed it. */
	if (!moved)
		return failed != ENOENT && owner_is(directory, lock) ? fail(directory, strerror(failed)) : REMOVED;
	alias_remove(aside, directory);
	return tree_remove(aside) == 0 ? REMOVED : fail(aside, strerror(errno));
}

/* How to treat a supervisor that has the lock. */
enum supervisor { SPARE, KILL_AT_ONCE, KILL_IF_LATE };

/* `caller` may be the owner. */
static int remove_directory(const char *directory, pid_t caller, enum supervisor supervisor)
{
	/* An empty directory may be replaced at any moment. */
	if (rmdir(directory) == 0 || errno == ENOENT)
		return REMOVED;
	if (owner_lives(directory, caller))
		return REMOVAL_REFUSED;
	int lock = lock_state(directory, supervisor == KILL_IF_LATE ? WORK_MS : 0);

	if (lock < 0 && errno == EWOULDBLOCK && supervisor != SPARE) {
		remains_kill_supervisors(directory);
		lock = lock_state(directory, RELEASE_MS);
	}
	if (lock < 0 && errno != ENOENT)
		return fail(directory, errno == EWOULDBLOCK ? "its supervisor does not end" : strerror(errno));
	int result = REMOVED;

	/* While this process waited, another may have removed it, and a third claimed the name. */
	if (owner_is(directory, lock) && owner_lives(directory, caller))
		result = REMOVAL_REFUSED;
	else if (owner_is(directory, lock))
		result = lock >= 0 && remains_end(directory) != 0 ? REMOVAL_FAILED : remove_aside(directory, lock);
	if (lock >= 0)
		(void)close(lock);
	return result;
}

int stale_remove(const char *directory)
{
	return remove_directory(directory, 0, KILL_IF_LATE);
}

int stale_take_over(const char *directory)
{
	return remove_directory(directory, getppid(), KILL_AT_ONCE);
}

/* Removes the beginning of a directory whose launcher died before it had made `owner`. It is empty. */
static void remove_unfinished(const char *path)
{
	struct stat info;

	if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode) && info.st_mtime + UNFINISHED_S < time(NULL))
		(void)rmdir(path);
}

/* Calls `use` for each directory beside `directory` whose owner is dead, until it returns false. */
static void each_stale(const char *directory, bool (*use)(const char *path))
{
	char path[PATH_BYTES];
	int length = (int)(strrchr(directory, '/') - directory);

	(void)snprintf(path, sizeof(path), "%.*s", length, directory);
	DIR *entries = opendir(path);

	if (entries == NULL)
		return;
	for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
		if (strncmp(entry->d_name, UNFINISHED, strlen(UNFINISHED)) == 0 &&
		    (size_t)snprintf(path, sizeof(path), "%.*s/%s", length, directory, entry->d_name) < sizeof(path))
			remove_unfinished(path);
		if ((size_t)snprintf(path, sizeof(path), "%.*s/%s", length, directory, entry->d_name) < sizeof(path) &&
		    owner_was_here(path) && !owner_lives(path, 0) && !use(path))
			break;
	}
	(void)closedir(entries);
}

static bool remove_spared(const char *path)
{
	(void)remove_directory(path, 0, SPARE);
	return true;
}

static bool start_removing(const char *path)
{
	if (fork() == 0) {
		/* The launcher waits for nothing of this. */
		(void)syscall(SYS_close_range, 0U, ~0U, 0);
		each_stale(path, remove_spared);
		_exit(0);
	}
	return false;
}

void stale_remove_beside(const char *directory)
{
	each_stale(directory, start_removing);
}
