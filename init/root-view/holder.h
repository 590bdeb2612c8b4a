/* What a process that stays waits for. */
#pragma once

#include <signal.h>

/*
 * Blocks SIGTERM, so that it waits until hold_until_end(). Returns a descriptor that tells of it, or -1, and the mask as
 * it was.
 */
int hold_signals(sigset_t *before);

/*
 * Waits until SIGTERM, or until a process has ended that is given as a pidfd. It lets go of everything else that this
 * process had open: whoever waits for the end of the launcher's pipes must not wait for this one.
 */
void hold_until_end(int process, int signals);
