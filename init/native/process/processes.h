/* All other processes: reaping, killing, and sharing the processor with them. */
#ifndef VS_PROCESSES_H
#define VS_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/* Hears of every reaped child, orphans included. */
typedef void process_ended(pid_t pid, int status);

/* Reaps every child that has ended. True when no child is left. */
bool processes_reap(process_ended *ended);

/*
 * On one processor, lets a program that writes go on until it has to wait, instead of taking over at its first byte.
 * Output then comes in large pieces. A child must turn this off.
 */
void processes_yield(bool yield);

/* Kills every other process; signals report their deaths. */
void processes_kill(void);
/* Kills every other process and waits until all are gone, within a time limit. */
void processes_end(process_ended *ended);

#endif
