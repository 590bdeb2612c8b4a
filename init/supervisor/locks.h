/*
 * Who may clean up: docs/life.md. Both locks are flock(2)s, which the kernel releases when the process ends, however it ends.
 */
#ifndef VS_LOCKS_H
#define VS_LOCKS_H

/*
 * The lock of a state directory, on its file `owner`. Whoever has it may end the sandbox's processes and remove the
 * directory: the supervisor has it from its start to its end, and after that another one that does its work. Waits
 * up to `milliseconds`. A descriptor, or -1 with errno: EWOULDBLOCK if another process has the lock, ENOENT if the
 * directory or the file is missing. Closing the descriptor releases the lock.
 */
int lock_state(const char *directory, int milliseconds);

/*
 * The lock under which names of directories beside `directory` are taken away, so that what a process has checked is
 * what it removes. Nobody holds it for long. A descriptor, or -1 with errno if it cannot be had within seconds.
 */
int lock_removals(const char *directory);

#endif
