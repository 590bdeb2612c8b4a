/*
 * Who may clean up: docs/life.md. Both locks are flock(2)s, which the kernel releases when the process ends, however it ends. Only
 * this user can open the files, or anybody could hold the locks. A file system without locks counts as one where nobody
 * else has them.
 */
#ifndef VS_LOCKS_H
#define VS_LOCKS_H

#include <stdbool.h>

/* How long lock_removals() waits at most, in milliseconds. */
#define REMOVALS_MS 1000

/*
 * The lock of a state directory, on its file `owner`. Whoever has it may end the sandbox's processes and remove the
 * directory: the supervisor has it from its start to its end, and after that another one that does its work. `state` is
 * of state_open(). A descriptor, or -1 with errno: EWOULDBLOCK if another process has had the lock for `milliseconds`,
 * ENOENT if the directory or the file is missing. Closing the descriptor releases the lock.
 */
int lock_state(int state, int milliseconds);

/* Whether nobody has that lock. False where the file system has no locks, so that nobody can know. */
bool lock_is_free(int state);

/*
 * The lock under which names of directories beside `directory` are taken away, so that what a process has checked is
 * what it moves away. Nobody holds it longer than that takes, but a process that was stopped. A descriptor, or -1 with
 * errno: EWOULDBLOCK if another process has had the lock for REMOVALS_MS.
 */
int lock_removals(const char *directory);

#endif
