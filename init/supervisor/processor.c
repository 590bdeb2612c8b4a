#include "processor.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Sets of 8192 processors, the most of any x86 kernel. */
#define SETS 8
#define SET_BYTES (SETS * sizeof(cpu_set_t))

/* How often to look for threads that others made meanwhile, and how many generations of processes. */
#define MAX_PASSES 8
#define MAX_DEPTH 8

static int leased_fd = -1;
static cpu_set_t all[SETS];
static cpu_set_t first[SETS];

static bool choose(void)
{
	size_t processor = 0;

	if (sched_getaffinity(0, SET_BYTES, all) != 0 || CPU_COUNT_S(SET_BYTES, all) < 2)
		return false;
	while (!CPU_ISSET_S(processor, SET_BYTES, all))
		processor++;
	CPU_ZERO_S(SET_BYTES, first);
	CPU_SET_S(processor, SET_BYTES, first);
	return true;
}

void processor_watch(const char *file)
{
	if (!choose())
		return;
	leased_fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (leased_fd >= 0 && fcntl(leased_fd, F_SETLEASE, F_WRLCK) != 0) {
		(void)close(leased_fd);
		leased_fd = -1;
	}
}

void processor_pin(void)
{
	if (leased_fd >= 0)
		(void)sched_setaffinity(0, SET_BYTES, first);
}

void processor_unpin(void)
{
	if (leased_fd >= 0)
		(void)sched_setaffinity(0, SET_BYTES, all);
}

/* False if the thread was not on the first processor alone. */
static bool release_thread(pid_t thread)
{
	cpu_set_t now[SETS];

	return sched_getaffinity(thread, SET_BYTES, now) == 0 && CPU_EQUAL_S(SET_BYTES, now, first) &&
	       sched_setaffinity(thread, SET_BYTES, all) == 0;
}

/* Calls `use` for each thread of a process. True if one of them was true. */
static bool each_thread(pid_t process, int depth, bool (*use)(pid_t process, pid_t thread, int depth))
{
	char path[64];
	bool any = false;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	DIR *threads = opendir(path);

	if (threads == NULL)
		return false;
	for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads)) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

		if (thread > 0 && use(process, thread, depth))
			any = true;
	}
	(void)closedir(threads);
	return any;
}

static bool release_one(pid_t process, pid_t thread, int depth)
{
	(void)process;
	(void)depth;
	return release_thread(thread);
}

static void release_process(pid_t process, int depth);

/* The processes that a thread has started: /proc/PID/task/TID/children, see children.c. */
static bool release_children(pid_t process, pid_t thread, int depth)
{
	char path[64];
	char list[4096];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)process, (int)thread);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t n = read(fd, list, sizeof(list) - 1);

	(void)close(fd);
	list[n > 0 ? n : 0] = '\0';
	for (char *at = list, *end;; at = end) {
		long child = strtol(at, &end, 10);

		if (end == at)
			return false;
		release_process((pid_t)child, depth + 1);
	}
}

/* What a thread starts from then on has all processors too. */
static void release_process(pid_t process, int depth)
{
	for (int pass = 0; pass < MAX_PASSES && each_thread(process, depth, release_one); pass++)
		continue;
	if (depth < MAX_DEPTH)
		(void)each_thread(process, depth, release_children);
}

void processor_release(void)
{
	if (leased_fd < 0)
		return;
	release_process(getpid(), 0);
	/* A child that has not executed COMMAND yet still has the descriptor. */
	(void)fcntl(leased_fd, F_SETLEASE, F_UNLCK);
	(void)close(leased_fd);
	leased_fd = -1;
}
