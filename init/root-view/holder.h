/* What a process that stays waits for. */
#pragma once

#include <signal.h>

/*
 * Blocks SIGTERM, SIGHUP and SIGINT, so that they wait until hold_until_end(). Returns a descriptor that tells of them,
 * or -1, and the mask as it was.
 */
int hold_signals(sigset_t *before);

/*
 * Starts a process that calls clean_up(what) when this one is killed. Returns a descriptor for dismiss_heir(); -1 if
 * there is no such process.
 */
int start_heir(void (*clean_up)(const char *), const char *what);

/* Says that there is nothing left to clean up. */
void dismiss_heir(int heir);

/*
 * Waits until one of the signals, or until a process has ended that is given as a pidfd. It lets go of everything that
 * this process had open but for these two and the heir, which may be -1: whoever waits for the end of the launcher's
 * pipes must not wait for this one.
 */
void hold_until_end(int process, int signals, int heir);
