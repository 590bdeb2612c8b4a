/* The process that keeps a view for as long as it is needed. */
#pragma once

#include <sys/types.h>

/*
 * Waits until SIGTERM or until a process, given as a pidfd, has ended. It lets go of everything that this process had
 * open. Returns what is left to do to the caller: to undo what it holds.
 */
void hold_until_end(int process);
