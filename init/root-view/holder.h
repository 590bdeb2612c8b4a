/* What a process that stays waits for. */
#pragma once

#include <signal.h>

/*
 * Blocks SIGTERM, SIGHUP and SIGINT, so that they wait until hold(). Returns a descriptor that tells of them, or -1, and
 * the mask as it was.
 */
int hold_signals(sigset_t *before);

/*
 * Stays until a process has ended that is given as a pidfd, and calls clean_up(what). When this process is killed, or one
 * of the signals comes, another one does the same in its place, which has the same namespaces: that one ends by a signal,
 * too. It lets go of everything else that this process had open: whoever waits for the end of the launcher's pipes must
 * not wait for this one.
 */
void hold(int process, int signals, void (*clean_up)(const char *), const char *what);
