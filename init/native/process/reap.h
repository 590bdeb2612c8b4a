/* Reaping: process 1 waits for every child, orphans included. */
#ifndef VS_REAP_H
#define VS_REAP_H

#include <stdbool.h>
#include <sys/types.h>

/* Hears of every reaped child, orphans included. */
typedef void process_ended(pid_t pid, int status);

/* Reaps every child that has ended. True when no child is left. */
bool reap_children(process_ended *ended);

#endif
