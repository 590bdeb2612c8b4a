/*
 * The processes that the host has started. One of them may be the application: what this init is for ends with it.
 */
#ifndef VS_TABLE_H
#define VS_TABLE_H

#include "process/child.h"
#include "transport/call.h"

#include <poll.h>

/* How a process is to run, besides what its child says. */
struct process_options {
	bool application;
	/* It also gets a pipe for its trace. */
	bool trace;
	/* Of its terminal. */
	uint32_t rows;
	uint32_t columns;
	/* In milliseconds; 0: none. */
	uint32_t time_limit;
};

/*
 * Starts one on a terminal or on pipes, as the child says. Returns CALL_PENDING, or the error that it recorded in the
 * call.
 */
int process_start(struct call *call, struct child *child, const struct process_options *options);
/* Signals the foreground process group of its terminal, or its own group if it has no terminal. */
int process_signal(struct call *call, uint32_t process, uint32_t number);
int process_resize(struct call *call, uint32_t process, uint32_t rows, uint32_t columns);

/* The descriptor that becomes readable when the result of execve is known, or -1. */
int table_report_fd(void);
void table_exec_event(void);
/* Records the end of the child that was reaped, if it is one of these processes. */
void table_child_ended(pid_t pid, int status);

/* How many descriptors table_watch() wants to poll at most, and now. */
#define TABLE_POLL_FDS (3 * VS_MAX_PROCESSES)
nfds_t table_watch(struct pollfd *set);
/* Takes what poll() has found. */
void table_take(const struct pollfd *set);

#endif
