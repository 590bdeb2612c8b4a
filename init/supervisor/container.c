#include "container.h"

#include "children.h"
#include "freezer.h"
#include "owner.h"
#include "process.h"
#include "timing.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libvirt's directory for containers, a constant in its source. */
#define RUN_DIRECTORY "/run/libvirt/lxc"

#define FLAG "container"

/* How often to look whether libvirt has forgotten it, in milliseconds. */
#define LOOK_MS 20

/* How long the controller may take to end after process 1, and when it is killed, in milliseconds. */
#define ENDING_MS 2000
#define KILLED_MS 5000

/* What libvirt starts for each container, and the option before its name. */
#define CONTROLLER "libvirt_lxc"
#define NAME_OPTION "--name"

static bool file_of(const char *name, const char *suffix, char path[PATH_MAX])
{
	return (size_t)snprintf(path, PATH_MAX, RUN_DIRECTORY "/%s.%s", name, suffix) < PATH_MAX;
}

/* libvirt removes these two itself. */
static bool is_known(const char *name)
{
	char path[PATH_MAX];

	return (file_of(name, "xml", path) && access(path, F_OK) == 0) ||
	       (file_of(name, "pid", path) && access(path, F_OK) == 0);
}

/* 0: it is not known. */
static pid_t noted_controller(int state)
{
	char text[32];
	int fd = openat(state, FLAG, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	long pid = strtol(text, NULL, 10);

	return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* Its ID may be another process's by now. */
static bool is_controller(pid_t pid, const char *name)
{
	struct words words;
	bool found = false;

	if (process_user(pid) != (long)geteuid() || !words_read(pid, &words))
		return false;
	const char *before = words_first(&words);
	const char *slash = strrchr(before, '/');

	if (strcmp(slash == NULL ? before : slash + 1, CONTROLLER) == 0) {
		for (const char *word = words_next(&words, before); word != NULL && !found;
		     word = words_next(&words, word)) {
			found = strcmp(before, NAME_OPTION) == 0 && strcmp(word, name) == 0;
			before = word;
		}
	}
	words_free(&words);
	return found;
}

static bool ends_within(int pidfd, int milliseconds)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};

	return poll(&fd, 1, milliseconds) > 0;
}

int container_end(const char *directory, int state)
{
	const char *name = strrchr(directory, '/') + 1;
	pid_t pid = noted_controller(state);
	int pidfd = pid > 0 ? process_open(pid) : -1;
	bool ended = true;

	if (pidfd < 0)
		return 0;
	if (is_controller(pid, name)) {
		/* With process 1 all others end, and then the controller, which has waited for it. */
		int group = freezer_open(pid);

		(void)children_kill(pid, pidfd, SIGKILL);
		freezer_thaw(group);
		ended = ends_within(pidfd, ENDING_MS);
		if (!ended && process_signal(pidfd, SIGKILL) == 0)
			ended = ends_within(pidfd, KILLED_MS);
	}
	(void)close(pidfd);
	if (!ended)
		(void)dprintf(2, "%s: its container does not end: process %ld\n", directory, (long)pid);
	return ended ? 0 : -1;
}

void container_remove(const char *directory, int state)
{
	static const char *const mounts[] = {"dev", "devpts", "fuse"};
	const char *name = strrchr(directory, '/') + 1;
	long long deadline = now_ms() + CONTAINER_MS;
	char path[PATH_MAX];

	struct stat info;

	if (fstatat(state, FLAG, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	while (is_known(name)) {
		if (now_ms() >= deadline)
			return;
		(void)poll(NULL, 0, LOOK_MS);
	}
	/* The name may be another container's by now. */
	if (!state_is(directory, state))
		return;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		if (file_of(name, mounts[i], path))
			(void)rmdir(path);
	if (file_of(name, "sock", path))
		(void)unlink(path);
}
