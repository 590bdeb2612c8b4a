#include "container.h"

#include "children.h"
#include "freezer.h"
#include "note.h"
#include "owner.h"
#include "process.h"
#include "timing.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libvirt's directory for containers, a constant in its source. */
#define RUN_DIRECTORY "/run/libvirt/lxc"

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

/* A pidfd of it; -1 if the process is none, or is gone. */
static int controller_open(pid_t pid, const char *name)
{
	int pidfd = process_open(pid);

	if (pidfd < 0 || is_controller(pid, name))
		return pidfd;
	(void)close(pidfd);
	return -1;
}

/* Of the one that libvirt has started, or is about to start, and has not said to the launcher. */
static int started_open(const struct note *note, const char *name, pid_t *pid)
{
	long long deadline = now_ms() + note->left_ms;
	char path[PATH_MAX];

	if (!file_of(name, "pid", path))
		return -1;
	for (;;) {
		*pid = process_in_file(path);
		int pidfd = *pid > 0 && *pid != note->other ? controller_open(*pid, name) : -1;

		if (pidfd >= 0 || now_ms() >= deadline)
			return pidfd;
		(void)poll(NULL, 0, LOOK_MS);
	}
}

/* With process 1 all others end, and then the controller, which has waited for it. */
static bool end_controller(pid_t pid, int pidfd)
{
	int group = freezer_open(pid);
	bool had_any = children_kill(pid, pidfd, SIGKILL);

	freezer_thaw(group);
	if (had_any && ends_within(pidfd, ENDING_MS))
		return true;
	/* It may be about to make process 1. */
	children_kill_stopped(pid, pidfd);
	(void)process_signal(pidfd, SIGKILL);
	return ends_within(pidfd, KILLED_MS);
}

int container_end(const char *directory, int state)
{
	const char *name = strrchr(directory, '/') + 1;
	struct note note;
	pid_t pid;
	int pidfd = -1;

	if (!note_read(state, &note))
		return 0;
	pid = note.controller;
	if (pid > 0)
		pidfd = controller_open(pid, name);
	/* Of an owner elsewhere, which has other process IDs, or had, OTHER says nothing. */
	else if (owner_kind(state) == OWNER_HERE)
		pidfd = started_open(&note, name, &pid);
	if (pidfd < 0)
		return 0;
	bool ended = end_controller(pid, pidfd);

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

	if (fstatat(state, NOTE_FILE, &info, AT_SYMLINK_NOFOLLOW) != 0)
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
