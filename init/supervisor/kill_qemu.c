/*
 * Kills a process so that libvirt does not wait for it.
 *
 * libvirt learns from its monitor's socket that QEMU has ended, and sends a signal to make sure. If the signal still
 * finds a process, even a zombie, libvirt looks again only after 200 ms (virProcessKillPainfullyDelay in its source). A
 * process closes its sockets a moment before it can be reaped, so libvirt usually comes too early. This file keeps the
 * sockets open until the process has been reaped.
 */
#include "kill_qemu.h"

#include "freezer.h"
#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 64
#define MAX_SOCKETS 64

/* How long a killed process may take to end, in milliseconds. One that waits for a disk takes its time. */
#define END_MS 2000

/*
 * How long its parent may take to reap it. No event reports that, so look again and again. After this long, libvirt has
 * looked again anyway.
 */
#define REAP_MS 150
#define LOOK_US 100

/* Sockets of killed processes that are still open here. */
static int held[MAX_SOCKETS];
static size_t held_count;

static int pidfd_getfd(int pidfd, int fd)
{
	return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

/* Duplicates every open socket of the process; none without the right to. */
static void hold_sockets(int pidfd, pid_t pid)
{
	char path[PATH_BYTES];

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	DIR *fds = opendir(path);

	if (fds == NULL)
		return;
	for (struct dirent *entry = readdir(fds); entry != NULL && held_count < MAX_SOCKETS; entry = readdir(fds)) {
		char target[PATH_BYTES];
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, target, sizeof(target) - 1);

		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, "socket:", strlen("socket:")) != 0)
			continue;
		int fd = pidfd_getfd(pidfd, (int)strtol(entry->d_name, NULL, 10));

		if (fd >= 0)
			held[held_count++] = fd;
	}
	(void)closedir(fds);
}

static void release_down_to(size_t count)
{
	while (held_count > count)
		(void)close(held[--held_count]);
}

/* Waits until the process has ended, and then until it has been reaped. */
static void await_reaping(int pidfd, void (*reap)(void *), void *context)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};
	const struct timespec pause = {.tv_nsec = LOOK_US * 1000L};
	int n;

	do {
		n = poll(&fd, 1, END_MS);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return;
	for (int waited = 0; waited < REAP_MS * 1000; waited += LOOK_US) {
		reap(context);
		if (process_signal(pidfd, 0) != 0 && errno == ESRCH)
			return;
		(void)nanosleep(&pause, NULL);
	}
}

bool kill_qemu(pid_t pid, const char *argument, bool keep, void (*reap)(void *), void *context)
{
	/* The pidfd pins the process: from here on, the one that is checked is the one that is killed. */
	int pidfd = pid > 1 ? process_open(pid) : -1;
	bool killed = false;

	if (pidfd < 0)
		return false;
	if (process_has_argument(pid, argument)) {
		size_t before = held_count;

		int group = freezer_open(pid);

		hold_sockets(pidfd, pid);
		killed = process_signal(pidfd, SIGKILL) == 0;
		freezer_thaw(group);
		if (killed)
			await_reaping(pidfd, reap, context);
		if (!killed || !keep)
			release_down_to(before);
	}
	(void)close(pidfd);
	return killed;
}

void kill_qemu_release(void)
{
	release_down_to(0);
}
