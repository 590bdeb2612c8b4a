#include "children.h"

#include "process.h"
#include "timing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How often to look whether a process has stopped, in milliseconds. */
#define STOP_LOOK_MS 1

/*
 * The kernel lists them in /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN, which every distribution sets; proc(5)).
 * With one thread, its list is complete.
 */
bool children_kill(pid_t parent, int pidfd, int signal)
{
	char path[64];
	char list[4096];

	(void)snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)parent, (long)parent);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, list, sizeof(list) - 1);

	(void)close(fd);
	if (n <= 0)
		return false;
	list[n] = '\0';
	/* If it was there still when they were read, they are its own. */
	if (pidfd >= 0 && process_signal(pidfd, 0) != 0)
		return false;
	bool any = false;

	for (char *at = list;; any = true) {
		char *end;
		long pid = strtol(at, &end, 10);

		if (end == at)
			return any;
		if (pid > 1 && kill((pid_t)pid, signal) != 0 && errno != ESRCH)
			return true;
		at = end;
	}
}

void children_kill_stopped(pid_t parent, int pidfd)
{
	if (process_signal(pidfd, SIGSTOP) != 0)
		return;
	for (long long deadline = now_ms() + STOP_MS; !process_is_stopped(parent) && now_ms() < deadline;)
		(void)poll(NULL, 0, STOP_LOOK_MS);
	(void)children_kill(parent, pidfd, SIGKILL);
}
