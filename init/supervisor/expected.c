#include "expected.h"

#include "children.h"
#include "control.h"
#include "kill_qemu.h"
#include "process.h"
#include "timing.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How often to look whether it is there, and how long it may take to stop and how often to look, in milliseconds. */
#define LOOK_MS 20
#define STOP_MS 1000
#define STOP_LOOK_MS 1

static pid_t other;
static bool is_parent;
static char argument[CONTROL_BYTES];
/* Behind the argument; empty: none is expected. */
static const char *path = "";

void expected_set(pid_t pid, const char *words, bool with_children)
{
	/* It is part of an order, which fits. */
	(void)snprintf(argument, sizeof(argument), "%s", words);
	char *end = strchr(argument, ' ');

	other = pid;
	is_parent = with_children;
	path = "";
	if (end != NULL) {
		*end = '\0';
		path = end + 1;
	}
}

/* 0 if there is none yet. */
static pid_t pid_in_file(void)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	long pid = strtol(text, NULL, 10);

	return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/*
 * The controller of a container may be making the container's first process, which would outlive it. One that has
 * stopped makes none, and does not reap those that it has. One that has made it already needs no stop, which would last
 * if this process were killed too.
 */
static void kill_children(pid_t pid)
{
	int pidfd = process_open(pid);

	if (pidfd < 0)
		return;
	if (process_has_argument(pid, argument) && !children_kill(pid, SIGKILL) &&
	    process_signal(pidfd, SIGSTOP) == 0) {
		bool stopped = false;

		for (long long deadline = now_ms() + STOP_MS; !stopped && now_ms() < deadline;) {
			(void)poll(NULL, 0, STOP_LOOK_MS);
			stopped = process_is_stopped(pid);
		}
		if (stopped)
			(void)children_kill(pid, SIGKILL);
	}
	(void)close(pidfd);
}

void expected_end(void (*reap)(void *), void *context)
{
	bool done = *path == '\0';

	for (long long deadline = now_ms() + EXPECTED_MS; !done && now_ms() < deadline;) {
		pid_t pid = pid_in_file();

		if (pid > 0 && pid != other) {
			if (is_parent)
				kill_children(pid);
			/* Before it has become what libvirt starts it has another command line; one that keeps it may not be killed. */
			done = kill_qemu(pid, argument, false, reap, context) || process_has_argument(pid, argument);
		}
		if (!done)
			(void)poll(NULL, 0, LOOK_MS);
	}
}
