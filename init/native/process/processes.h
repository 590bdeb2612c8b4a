/* All other processes: killing them, and sharing the processor with them. */
#ifndef VS_PROCESSES_H
#define VS_PROCESSES_H

#include "process/reap.h"

#include <stdbool.h>

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
