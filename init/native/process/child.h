/* Starts a program: what happens between fork and execve, and how a failure there is reported. */
#ifndef VS_CHILD_H
#define VS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child {
	/* argv[-1] is free for the interpreter of a script. */
	char **argv;
	char **environment;
	const char *directory;
	/* argv[0] is a program of this init: builtins/. */
	bool builtin;
	/* Sets identity and capabilities. A helper keeps those of the init. */
	bool restricted;
	uint32_t uid;
	uint32_t gid;
	const uint32_t *groups;
	size_t group_count;
	/* All of them: it is outside of the user namespace, if there is one. */
	uint64_t capabilities;
	/* In a container, it may make user namespaces. */
	bool user_namespaces;
	int in;
	int out;
	int err;
	/* A pipe that becomes descriptor 3, or 0. */
	int trace;
	/* `in` becomes the controlling terminal. */
	bool terminal;
	/*
	 * For this init's own programs. The child shares this process's root and working directory from now on, and has
	 * started only when it says so: see child_is_ready().
	 */
	bool follows;
};

/* Forks, and shares this process's root and working directory with the child even after they change. */
pid_t child_fork_following(void);

/*
 * Starts the child as the leader of a new session. *report_fd becomes readable when the result of execve is known.
 * Returns the pid, or -1 with errno.
 */
pid_t child_start(const struct child *child, int *report_fd);

/*
 * Returns 0 after execve has succeeded, an errno value if a step failed (named in `step`), or CHILD_UNKNOWN. Closes
 * *report_fd unless unknown.
 */
#define CHILD_UNKNOWN (-1)
#define CHILD_STEP_BYTES 768
int child_report(int *report_fd, char step[CHILD_STEP_BYTES]);

/* First step of a program that was started with `follows`: lets child_is_ready() and child_fail() reach its parent. */
void child_take_report(void);
/*
 * In a forked process: reports which step failed, with its argument for the one %s in `format`, and ends the process.
 */
_Noreturn void child_fail(int error, const char *format, const char *argument);
/* Ends the parent's wait for this program. */
void child_is_ready(void);

#endif
