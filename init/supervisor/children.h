/* The children of a process. A subreaper also inherits processes that it did not start. */
#ifndef VS_CHILDREN_H
#define VS_CHILDREN_H

#include <sys/types.h>

/* Sends a signal to every child of the first thread of a process, which must not reap meanwhile. */
void children_kill(pid_t parent, int signal);

#endif
