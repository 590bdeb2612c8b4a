#include "bounded_log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often to look where inotify(7) has no instance left, in milliseconds. */
#define LOOK_MS 200

static int log_fd = -1;
static int changes_fd = -1;

/* The file itself is watched, whatever is at its path later. */
static int watch_changes(void)
{
	char path[64];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", log_fd);
	if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool bounded_log_watch(const char *path)
{
	log_fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (log_fd < 0)
		return false;
	changes_fd = watch_changes();
	return true;
}

int bounded_log_fd(void)
{
	return changes_fd;
}

int bounded_log_wait(int most)
{
	bool looks = log_fd >= 0 && changes_fd < 0;

	return looks && (most < 0 || most > LOOK_MS) ? LOOK_MS : most;
}

void bounded_log_cut(void)
{
	char events[sizeof(struct inotify_event) + NAME_MAX + 1];
	struct stat log;

	if (log_fd < 0)
		return;
	/* Which events they were does not matter. */
	while (changes_fd >= 0 && read(changes_fd, events, sizeof(events)) > 0)
		continue;
	/* If it cannot be cut now, the next change is another try. */
	if (fstat(log_fd, &log) == 0 && log.st_size > LOG_BYTES)
		(void)!ftruncate(log_fd, KEPT_BYTES);
}
