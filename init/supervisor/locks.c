#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* No event tells that a lock was released, so look again and again, in milliseconds. */
#define LOOK_MS 1

/* Whether flock(2) failed because the file system has no locks: some network file systems have none. */
static bool has_none(int number)
{
	return number == ENOLCK || number == ENOSYS || number == EOPNOTSUPP;
}

static int lock_within(int fd, int milliseconds)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};

	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += LOOK_MS) {
		if (has_none(errno))
			return fd;
		if ((errno != EINTR && errno != EWOULDBLOCK) || waited >= milliseconds) {
			int failed = errno;

			(void)close(fd);
			errno = failed;
			return -1;
		}
		(void)nanosleep(&pause, NULL);
	}
	return fd;
}

static int open_owner(int state)
{
	/* Over NFS only a file that is open for writing can be locked. */
	int fd = openat(state, "owner", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	/* It may be of a program that ran as another user. */
	if (fd < 0 && errno == EACCES)
		fd = openat(state, "owner", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd;
}

int lock_state(int state, int milliseconds)
{
	int fd = open_owner(state);

	return fd < 0 ? -1 : lock_within(fd, milliseconds);
}

bool lock_is_free(int state)
{
	int fd = open_owner(state);
	bool is_free = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (fd >= 0)
		(void)close(fd);
	return is_free;
}

int lock_removals(const char *directory)
{
	char path[PATH_MAX];
	const char *name = strrchr(directory, '/');

	if (name == NULL ||
	    (size_t)snprintf(path, sizeof(path), "%.*s/.lock", (int)(name - directory), directory) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -1 : lock_within(fd, REMOVALS_MS);
}
