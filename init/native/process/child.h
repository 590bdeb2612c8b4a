/* Starting a program: what happens between fork and execve, and how a failure there is told. */
#ifndef VS_CHILD_H
#define VS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	/* argv[-1] is a free place. */
	char **argv;
	char **environment;
	const char *directory;
	/* Whether identity and capabilities are set; a helper stays what the init is. */
	bool restricted;
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t group_count;
	uint64_t capabilities;
	int in;
	int out;
	int err;
	/* A pipe that becomes descriptor 3, or 0. */
	int trace;
	/* `in` becomes the controlling terminal. */
	bool terminal;
	/*
	 * For programs of the init's own. It has this process's root and working directory for good, wherever this process moves to, and
	 * its start has succeeded only when it says so: see child_is_ready().
	 */
	bool follows;
};

/* As fork(), but the child's root and working directory are this process's for good, also when it changes them. */
pid_t child_fork_following(void);

/*
 * Starts it as the leader of a session of its own. *report_fd becomes readable when it is known whether execve succeeded. Returns its
 * pid, or -1 with errno.
 */
pid_t child_start(const struct child *child, int *report_fd);

/* 0 once execve has succeeded, an errno value when a step failed (named in `step`), or CHILD_UNKNOWN. Closes *report_fd when known. */
#define CHILD_UNKNOWN (-1)
#define CHILD_STEP_BYTES 768
int child_report(int *report_fd, char step[CHILD_STEP_BYTES]);

/* In a program that was started with `follows`, first of all: child_is_ready() and child_fail() tell who started it. */
void child_take_report(void);
/* In a forked process: reports which step failed, with its argument for the one %s in `format`, and ends the process. */
_Noreturn void child_fail(int error, const char *format, const char *argument);
/* From now on who started it need not wait for it. */
void child_is_ready(void);

#endif
