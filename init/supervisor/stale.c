#include "stale.h"

#include "alias.h"
#include "locks.h"
#include "remains.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define TEXT_BYTES 1024

/* Fields of /proc/PID/stat behind the name: state is the 3rd field of proc_pid_stat(5), the start time the 22nd. */
#define STATE_FIELD 3
#define START_FIELD 22

/* How long a supervisor at work may take, in milliseconds: what ends after SIGTERM gets SIGKILL before that. */
#define WORK_MS 8000

/* How long the lock of a killed supervisor may take to be released, in milliseconds. */
#define RELEASE_MS 2000

static bool read_text(const char *path, char text[TEXT_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, TEXT_BYTES - 1);
	(void)close(fd);
	if (n < 0) {
		errno = EIO;
		return false;
	}
	text[n] = '\0';
	return true;
}

/* Whether the process with that start time still runs. A zombie does not. */
static bool lives(long pid, const char *started)
{
	char path[64];
	char text[TEXT_BYTES];
	char *at;
	char state;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!read_text(path, text))
		return errno != ENOENT && errno != ESRCH;
	at = strrchr(text, ')');
	if (at == NULL || at[1] != ' ')
		return true;
	at += 2;
	state = *at;
	for (int field = STATE_FIELD; field < START_FIELD && at != NULL; field++) {
		at = strchr(at, ' ');
		if (at != NULL)
			at++;
	}
	if (at == NULL || state == 'Z' || state == 'X')
		return at == NULL;
	return strncmp(at, started, strlen(started)) == 0 && at[strlen(started)] == ' ';
}

/* Whether its owner lives. Nobody is the owner of a directory without that file: its removal was interrupted. */
static bool is_owned(const char *directory, pid_t caller)
{
	char path[PATH_BYTES];
	char text[TEXT_BYTES];
	char started[32];
	long pid;

	if ((size_t)snprintf(path, sizeof(path), "%s/owner", directory) >= sizeof(path))
		return true;
	/* A directory appears with this file in it. */
	if (!read_text(path, text))
		return errno != ENOENT;
	return sscanf(text, "%ld %31s", &pid, started) == 2 && pid != (long)caller && lives(pid, started);
}

/* Whether the directory has this file as its owner still; `lock` is -1 for none. */
static bool is_same(const char *directory, int lock)
{
	char path[PATH_BYTES];
	struct stat there, locked;

	if ((size_t)snprintf(path, sizeof(path), "%s/owner", directory) >= sizeof(path))
		return false;
	if (lstat(path, &there) != 0)
		return lock < 0 && errno == ENOENT;
	return lock >= 0 && fstat(lock, &locked) == 0 && there.st_ino == locked.st_ino && there.st_dev == locked.st_dev;
}

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
	bool moved = is_same(directory, lock) && rename(directory, aside) == 0;
	int failed = errno;

	(void)close(removals);
	/* Else another process has removed it. */
	if (!moved)
		return is_same(directory, lock) ? fail(directory, strerror(failed)) : REMOVED;
	alias_remove(aside, directory);
	return tree_remove(aside) == 0 ? REMOVED : fail(aside, strerror(errno));
}

/* The directory's lock; -1 with errno. A supervisor that does not end within `milliseconds` is killed. */
static int take_lock(const char *directory, int milliseconds)
{
	int lock = lock_state(directory, milliseconds);

	if (lock >= 0 || errno != EWOULDBLOCK)
		return lock;
	remains_kill_supervisors(directory);
	return lock_state(directory, RELEASE_MS);
}

/* `caller` may be the owner; `milliseconds` for a supervisor that is at work. */
static int remove_directory(const char *directory, pid_t caller, int milliseconds)
{
	/* An empty directory may be replaced at any moment. */
	if (rmdir(directory) == 0 || errno == ENOENT)
		return REMOVED;
	if (is_owned(directory, caller))
		return REMOVAL_REFUSED;
	int lock = take_lock(directory, milliseconds);

	if (lock < 0 && errno != ENOENT)
		return fail(directory, errno == EWOULDBLOCK ? "its supervisor does not end" : strerror(errno));
	int result = REMOVED;

	/* While this process waited, another may have removed it, and a third claimed the name. */
	if (is_same(directory, lock) && is_owned(directory, caller))
		result = REMOVAL_REFUSED;
	else if (is_same(directory, lock))
		result = lock >= 0 && remains_end(directory) != 0 ? REMOVAL_FAILED : remove_aside(directory, lock);
	if (lock >= 0)
		(void)close(lock);
	return result;
}

int stale_remove(const char *directory)
{
	return remove_directory(directory, 0, WORK_MS);
}

int stale_take_over(const char *directory)
{
	return remove_directory(directory, getppid(), 0);
}
