/* State directories whose owner is dead, and the lock under which directories are removed. */
#ifndef VS_STALE_H
#define VS_STALE_H

/*
 * Takes the lock that every process takes before it removes a directory beside `directory`, so that what it has checked
 * is what it removes. Closing the descriptor releases the lock. -1 if it cannot be had.
 */
int stale_lock_removals(const char *directory);

/*
 * Removes a state directory whose owner is dead. Returns 0 if it is gone, 1 if its owner lives, 2 if it cannot be
 * removed, after a line on stderr.
 */
int stale_remove(const char *directory);

#endif
