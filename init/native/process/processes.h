/* Other processes as a whole: reaping, killing, and how this process shares the processor with them. */
#ifndef VS_PROCESSES_H
#define VS_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/* Hears of every child that was reaped, orphans included. */
typedef void process_ended(pid_t pid, int status);

/* Reaps every child that has ended. True when no child is left. */
bool processes_reap(process_ended *ended);

/*
 * On one processor, lets a program that writes go on until it has to wait, instead of taking over at its first byte: its output then
 * comes in large pieces. A child has to become ordinary again.
 */
void processes_yield(bool yield);

/* Kills every other process; their deaths arrive as signals. */
void processes_kill(void);
/* Kills every other process and waits until all are gone, within a limit of time. */
void processes_end(process_ended *ended);

#endif
