/*
 * State directories that no supervisor will remove any more. docs/life.md says who removes what.
 */
#ifndef VS_STALE_H
#define VS_STALE_H

#include "aside.h"

/*
 * Ends what runs of a sandbox whose owner is dead, and removes its state directory. A supervisor that is at work gets
 * the time that it needs; one that was stopped is killed. For REMOVAL_FAILED, REMOVAL_LASTS and REMOVAL_STUCK there is a line on
 * stderr.
 */
enum removal stale_remove(const char *directory);

/* The same for the owner itself, the parent of this process. It has seen that its supervisor is gone. */
enum removal stale_take_over(const char *directory);

/*
 * The same for every directory beside `directory` whose owner is dead and that no supervisor has, in a process of its
 * own. It costs a few system calls where there is none.
 */
void stale_remove_beside(const char *directory);

#endif
