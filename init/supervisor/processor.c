#include "processor.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Sets of 8192 processors, the most of any x86 kernel. */
#define SETS 8
#define SET_BYTES (SETS * sizeof(cpu_set_t))

/* How often to look for threads that others made meanwhile. */
#define MAX_PASSES 8

static int opened_fd = -1;
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
	opened_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (opened_fd >= 0 && inotify_add_watch(opened_fd, file, IN_OPEN) < 0) {
		(void)close(opened_fd);
		opened_fd = -1;
	}
}

int processor_fd(void)
{
	return opened_fd;
}

void processor_pin(void)
{
	if (opened_fd >= 0)
		(void)sched_setaffinity(0, SET_BYTES, first);
}

/* False if the thread was not on the first processor alone. */
static bool release_thread(pid_t thread)
{
	cpu_set_t now[SETS];

	return sched_getaffinity(thread, SET_BYTES, now) == 0 && CPU_EQUAL_S(SET_BYTES, now, first) &&
	       sched_setaffinity(thread, SET_BYTES, all) == 0;
}

/* A new thread has the processors of the one that made it. */
static bool release_threads(const char *tasks)
{
	DIR *threads = opendir(tasks);
	bool released = false;

	if (threads == NULL)
		return false;
	for (struct dirent *thread = readdir(threads); thread != NULL; thread = readdir(threads)) {
		pid_t id = (pid_t)strtol(thread->d_name, NULL, 10);

		if (id > 0 && release_thread(id))
			released = true;
	}
	(void)closedir(threads);
	return released;
}

void processor_release(pid_t command)
{
	char tasks[64];

	(void)close(opened_fd);
	opened_fd = -1;
	if (command <= 0)
		return;
	(void)snprintf(tasks, sizeof(tasks), "/proc/%d/task", (int)command);
	for (int pass = 0; pass < MAX_PASSES && release_threads(tasks); pass++)
		continue;
}
