#include "stale.h"

#include "alias.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define TEXT_BYTES 1024

/* Fields of /proc/PID/stat behind the name: state is the 3rd field of proc_pid_stat(5), the start time the 22nd. */
#define STATE_FIELD 3
#define START_FIELD 22

int stale_lock_removals(const char *directory)
{
	char path[PATH_BYTES];
	const char *name = strrchr(directory, '/');
	int fd;

	if (name == NULL ||
	    (size_t)snprintf(path, sizeof(path), "%.*s/.lock", (int)(name - directory), directory) >= sizeof(path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX) != 0) {
		if (errno != EINTR) {
			(void)close(fd);
			return -1;
		}
	}
	return fd;
}

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

static bool is_owned(const char *directory)
{
	char path[PATH_BYTES];
	char text[TEXT_BYTES];
	char started[32];
	long pid;

	if ((size_t)snprintf(path, sizeof(path), "%s/owner", directory) >= sizeof(path))
		return true;
	/*
	 * A directory appears with this file in it. If the file is missing, a process has died while removing the
	 * directory.
	 */
	if (!read_text(path, text))
		return errno != ENOENT;
	return sscanf(text, "%ld %31s", &pid, started) == 2 && lives(pid, started);
}

/* Move it away first, so that nobody ever sees half a directory at its path. */
static int remove_aside(const char *directory)
{
	char aside[PATH_BYTES];
	const char *name = strrchr(directory, '/');

	if (name == NULL || (size_t)snprintf(aside, sizeof(aside), "%.*s/.stale-%d", (int)(name - directory), directory,
					     (int)getpid()) >= sizeof(aside))
		return 2;
	if (rename(directory, aside) == 0) {
		alias_remove(aside, directory);
		if (tree_remove(aside) == 0)
			return 0;
	}
	(void)dprintf(2, "%s: %s\n", directory, strerror(errno));
	return 2;
}

int stale_remove(const char *directory)
{
	int lock = stale_lock_removals(directory);
	int result;

	if (lock < 0) {
		(void)dprintf(2, "%s/../.lock: %s\n", directory, strerror(errno));
		return 2;
	}
	/* An empty directory may be replaced at any moment. Any other stays what it is while the lock is held. */
	if (rmdir(directory) == 0 || errno == ENOENT)
		result = 0;
	else if (is_owned(directory))
		result = 1;
	else
		result = remove_aside(directory);
	(void)close(lock);
	return result;
}
