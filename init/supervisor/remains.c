#include "remains.h"

#include "owner.h"
#include "part.h"
#include "process.h"
#include "timing.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* More than one sandbox has: one virt-qemu-run, one QEMU, one virtiofsd for each share. */
#define MAX_PROCESSES 128

/*
 * When virt-qemu-run gets SIGTERM, in milliseconds. It has had one already, from the kernel when its supervisor died
 * (command.c), and a second one while it ends QEMU may deadlock it.
 */
#define DRIVER_MS 2000

/* How long killed processes may take to end, in milliseconds. Only one that waits for a broken disk takes longer. */
#define KILLED_MS 5000

/* How often to look for processes that appeared meanwhile, in milliseconds. */
#define LOOK_MS 100

/* A process that was found. It stays until it has ended, whatever its command line says by then. */
struct process {
	pid_t pid;
	int pidfd;
	enum part part;
	/* It was sent SIGTERM. */
	bool told;
};

struct found {
	size_t count;
	struct process process[MAX_PROCESSES];
};

static bool has(const struct found *found, pid_t pid)
{
	for (size_t i = 0; i < found->count; i++) {
		if (found->process[i].pid == pid)
			return true;
	}
	return false;
}

/* Adds the processes that are not in it. The pidfd comes first, so that what is checked is what gets a signal. */
static void look(const struct sandbox *sandbox, struct found *found)
{
	DIR *processes = opendir("/proc");

	if (processes == NULL)
		return;
	for (struct dirent *entry = readdir(processes); entry != NULL && found->count < MAX_PROCESSES;
	     entry = readdir(processes)) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		bool candidate = pid > 1 && pid != getpid() && pid != getppid() && !has(found, pid);
		int pidfd = candidate ? process_open(pid) : -1;
		enum part part = pidfd >= 0 ? sandbox_part(sandbox, pid) : NOTHING;

		if (part != NOTHING)
			found->process[found->count++] =
				(struct process){.pid = pid, .pidfd = pidfd, .part = part, .told = false};
		else if (pidfd >= 0)
			(void)close(pidfd);
	}
	(void)closedir(processes);
}

/* Waits until one of them has ended, or `milliseconds` are over, and takes away those that have. */
static void drop_ended(struct found *found, int milliseconds)
{
	struct pollfd fds[MAX_PROCESSES];
	size_t left = 0;

	for (size_t i = 0; i < found->count; i++)
		fds[i] = (struct pollfd){.fd = found->process[i].pidfd, .events = POLLIN};
	if (poll(fds, found->count, milliseconds) <= 0)
		return;
	for (size_t i = 0; i < found->count; i++) {
		if (fds[i].revents != 0)
			(void)close(found->process[i].pidfd);
		else
			found->process[left++] = found->process[i];
	}
	found->count = left;
}

static void release(struct found *found)
{
	while (found->count > 0)
		(void)close(found->process[--found->count].pidfd);
}

static bool has_driver(const struct found *found)
{
	for (size_t i = 0; i < found->count; i++) {
		if (found->process[i].part == DRIVER)
			return true;
	}
	return false;
}

/* `elapsed` is the time since the first look, in milliseconds. */
static void send_signals(struct found *found, long long elapsed)
{
	bool driven = has_driver(found);

	for (size_t i = 0; i < found->count; i++) {
		struct process *process = &found->process[i];
		bool due = process->part == VIEW || (process->part == DRIVER ? elapsed >= DRIVER_MS : !driven);

		if (elapsed >= GRACE_MS || process->part == SUPERVISOR) {
			(void)process_signal(process->pidfd, SIGKILL);
		} else if (due && !process->told) {
			(void)process_signal(process->pidfd, SIGTERM);
			(void)process_signal(process->pidfd, SIGCONT);
			process->told = true;
		}
	}
}

void remains_kill_supervisors(const char *directory, int state)
{
	struct sandbox sandbox;
	struct found found = {.count = 0};

	if (!sandbox_know(&sandbox, directory, state))
		return;
	look(&sandbox, &found);
	/* If the directory is there still, those that were found before are of no later one. */
	for (size_t i = 0; state_is(directory, state) && i < found.count; i++) {
		if (found.process[i].part == SUPERVISOR)
			(void)process_signal(found.process[i].pidfd, SIGKILL);
	}
	release(&found);
}

int remains_end(const char *directory, int state)
{
	struct sandbox sandbox;
	struct found found = {.count = 0};
	long long begun = now_ms();

	if (!sandbox_know(&sandbox, directory, state)) {
		(void)dprintf(2, "%s: the path is too long\n", directory);
		return -1;
	}
	for (;;) {
		long long elapsed = now_ms() - begun;

		look(&sandbox, &found);
		if (found.count == 0)
			return 0;
		if (elapsed >= GRACE_MS + KILLED_MS) {
			(void)dprintf(2, "%s: its process %ld does not end\n", directory, (long)found.process[0].pid);
			release(&found);
			return -1;
		}
		send_signals(&found, elapsed);
		drop_ended(&found, LOOK_MS);
	}
}
