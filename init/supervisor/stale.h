/* State directories whose owner is dead, and the lock under which directories are removed. */
#ifndef VS_STALE_H
#define VS_STALE_H

/*
 * Takes the lock that every process takes before it removes a directory beside `directory`, so that it removes what it has looked at.
 * Closing the descriptor gives the lock back. -1 with errno.
 */
int stale_lock_removals(const char *directory);

/* Removes a state directory whose owner is dead. 0: it is gone. 1: its owner lives. 2: it cannot be removed, which stderr tells. */
int stale_remove(const char *directory);

#endif
