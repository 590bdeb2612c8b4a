/* What a process that stays waits for. */
#pragma once

#include <signal.h>
#include <sys/types.h>

/*
 * Blocks SIGTERM, SIGHUP and SIGINT, so that they wait until hold(). Returns a descriptor that tells of them, or -1, and
 * the mask as it was.
 */
int hold_signals(sigset_t *before);

/* Descriptors of what tells whether the sandbox lives, and of the signals. One that is missing is -1. */
struct life {
	pid_t supervisor_id;
	/* pidfds. The launcher is the supervisor's parent. */
	int supervisor;
	int launcher;
	/* The sandbox's state directory. */
	int state;
	/* Of hold_signals(). */
	int signals;
};

/*
 * Stays as long as the sandbox lives, and calls clean_up(what) then: until the supervisor has ended, or if somebody has
 * killed that, until the launcher has ended or the state directory is gone. When this process is killed, or one of the
 * signals comes, another one does the same in its place, which has the same namespaces: that one ends by a signal, too. So
 * does this one where the supervisor sends it.
 * It lets go of everything else that this process had open: whoever waits for the end of the launcher's pipes must not
 * wait for this one.
 */
void hold(const struct life *life, void (*clean_up)(const char *), const char *what);
