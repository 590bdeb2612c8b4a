#include "expected.h"

#include "children.h"
#include "control.h"
#include "kill_qemu.h"
#include "process.h"
#include "timing.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How often to look whether it is there, in milliseconds. */
#define LOOK_MS 20

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

/*
 * The controller of a container may be making the container's first process, which would outlive it. One that has
 * stopped makes none, and does not reap those that it has. One that has made it already needs no stop, which would last
 * if this process were killed too. False: it is not what is expected.
 */
static bool kill_children(pid_t pid)
{
	int pidfd = process_open(pid);

	if (pidfd < 0)
		return false;
	bool is_it = process_has_argument(pid, argument);

	if (is_it && !children_kill(pid, pidfd, SIGKILL))
		children_kill_stopped(pid, pidfd);
	(void)close(pidfd);
	return is_it;
}

void expected_end(void (*reap)(void *), void *context)
{
	bool done = *path == '\0';

	for (long long deadline = now_ms() + EXPECTED_MS; !done && now_ms() < deadline;) {
		pid_t pid = process_in_file(path);

		if (pid > 0 && pid != other) {
			/* It may end by itself when its children have. */
			done = is_parent && kill_children(pid);
			/* Before it has become what libvirt starts it has another command line; one that keeps it may not be killed. */
			done |= kill_qemu(pid, argument, false, reap, context) || process_has_argument(pid, argument);
		}
		if (!done)
			(void)poll(NULL, 0, LOOK_MS);
	}
}
