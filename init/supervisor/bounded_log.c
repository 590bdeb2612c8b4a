#include "bounded_log.h"
#include "timing.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often to look where inotify(7) has no instance left, in milliseconds. */
#define LOOK_MS 200

/*
 * How long the log is looked at before it is watched, and how often, in milliseconds. A process that has an instance of
 * inotify(7) takes 6 to 20 ms longer to end, since the kernel waits until nobody reads its marks. A short run need not.
 */
#define UNWATCHED_MS 5000
#define FIRST_LOOK_MS 50

static int log_fd = -1;
static int changes_fd = -1;
/* When to watch it, by now_ms(); -1: that was tried. */
static long long watch_at;

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
	watch_at = now_ms() + UNWATCHED_MS;
	return true;
}

int bounded_log_fd(void)
{
	return changes_fd;
}

int bounded_log_wait(int most)
{
	int look = watch_at >= 0 ? FIRST_LOOK_MS : LOOK_MS;
	bool looks = log_fd >= 0 && changes_fd < 0;

	return looks && (most < 0 || most > look) ? look : most;
}

void bounded_log_cut(void)
{
	char events[sizeof(struct inotify_event) + NAME_MAX + 1];
	struct stat log;

	if (log_fd < 0)
		return;
	if (watch_at >= 0 && now_ms() >= watch_at) {
		changes_fd = watch_changes();
		watch_at = -1;
	}
	/* Which events they were does not matter. */
	while (changes_fd >= 0 && read(changes_fd, events, sizeof(events)) > 0)
		continue;
	/* If it cannot be cut now, the next change is another try. */
	if (fstat(log_fd, &log) == 0 && log.st_size > LOG_BYTES)
		(void)!ftruncate(log_fd, KEPT_BYTES);
}
