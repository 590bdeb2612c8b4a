/* The children of a process. A subreaper also inherits processes that it did not start. */
#ifndef VS_CHILDREN_H
#define VS_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Sends a signal to every child of the first thread of a process, which must not reap meanwhile. False if it has none.
 * `pidfd` is of the parent, which may end meanwhile; -1: it is this process.
 */
bool children_kill(pid_t parent, int pidfd, int signal);

/*
 * Kills those of a process that may be making one, which would outlive it: it is stopped before, and stays so.
 */
void children_kill_stopped(pid_t parent, int pidfd);

/* How long a process may take to stop, in milliseconds. */
#define STOP_MS 1000

#endif
