/* Signals to this process, and the end of all others. */
#ifndef VS_PROCESSES_H
#define VS_PROCESSES_H

#include "util.h"

/* Blocks every signal and opens the descriptor that tells of those that matter; -1 with errno. */
int signals_open(void);
int signals_fd(void);
/* Takes what has arrived: reaps children, and ends the channel where this process was told to stop. */
void signals_read(void);

/*
 * On one processor, lets a program that writes go on until it has to wait, instead of taking over at its first byte: its output then
 * comes in large pieces. A child has to become ordinary again.
 */
void processes_yield(bool yield);

/* Kills every other process; their deaths arrive as signals. */
void processes_kill(void);
/* Kills every other process and waits, bounded, until all are gone. */
void processes_end(void);

#endif
