#ifndef VS_SUPERVISOR_H
#define VS_SUPERVISOR_H

/* Sends a signal to every child of this process. */
void kill_children(int signal);

/* Removes a directory and all in it, never crossing a mount point or following a link. Returns 0 when it is gone. */
int remove_tree(const char *path);

/*
 * Removes the other name that a state directory may have, see src/sandbox/state-alias.ts. `directory` is its path, `at` is where it lies now, which
 * is elsewhere when it was moved out of the way.
 */
void remove_alias(const char *at, const char *directory);

/* Takes the lock that belongs to the removal of `directory`; closing the descriptor gives it back. -1 with errno. */
int lock_removals(const char *directory);

/* Removes a state directory whose owner is dead. 0: it is gone. 1: its owner lives. 2: it cannot be removed, which stderr tells. */
int remove_stale(const char *directory);

#endif
