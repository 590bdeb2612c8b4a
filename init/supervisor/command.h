/* The command that the supervisor runs. */
#ifndef VS_COMMAND_H
#define VS_COMMAND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts it with SIGTERM as its signal for the death of this process, and `signals` as its signal mask. Its stderr is
 * that of this process. With `small_pages` it gets no transparent huge pages, and neither does what it starts. Its
 * process ID, or -1 with errno.
 */
pid_t command_start(char *const argv[], const sigset_t *signals, bool small_pages);

#endif
