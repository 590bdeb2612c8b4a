#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * The kernel lists them in /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN, which every distribution sets; proc(5)).
 * With one thread, its list is complete.
 */
bool children_kill(pid_t parent, int signal)
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
