/*
 * State directories that no supervisor will remove any more. docs/life.md says who removes what.
 */
#ifndef VS_STALE_H
#define VS_STALE_H

#include "aside.h"

/*
 * Ends what runs of a sandbox whose owner is dead, and removes its state directory. A supervisor that is at work gets
 * the time that it needs; one that was stopped is killed, if its owner was a process of this boot and of this PID
 * namespace. Else the owner may live, and this is REMOVAL_REFUSED. For REMOVAL_FAILED, REMOVAL_LASTS and REMOVAL_STUCK there is a line on
 * stderr.
 */
enum removal stale_remove(const char *directory);

/* The same for the owner itself, the parent of this process. It has seen that its supervisor is gone. */
enum removal stale_take_over(const char *directory);

/*
 * The same, in a process of its own, for every directory beside `directory` that no supervisor has and whose owner is
 * dead, or was another boot's or another PID namespace's a day ago, and for one that has been made or removed for a
 * minute and has no owner. It costs a few system calls where there is none.
 */
void stale_remove_beside(const char *directory);

#endif
