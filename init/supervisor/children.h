/* The children of a process. A subreaper also inherits processes that it did not start. */
#ifndef VS_CHILDREN_H
#define VS_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

/* Sends a signal to every child of the first thread of a process, which must not reap meanwhile. False if it has none. */
bool children_kill(pid_t parent, int signal);

#endif
