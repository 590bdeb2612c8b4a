/*
 * The owner of a state directory is its launcher. The file `owner` in it has `PID START SPHERE TOKEN`: the process, when
 * it was started, where it has that ID, which is this boot and a PID namespace, and what tells this directory from
 * others of the same process. A directory appears with this file in it. Without it, a process has died while removing
 * the directory.
 *
 * A state directory is worked on by a descriptor, since another one may take its path at any moment.
 */
#ifndef VS_OWNER_H
#define VS_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* A descriptor of a state directory, for the functions here and in locks.h; -1 with errno. */
int state_open(const char *directory);

/* Whether the directory at this path is still that one. */
bool state_is(const char *directory, int state);

/* Whether its owner lives and is not `caller`. True also where that cannot be known. */
bool owner_lives(int state, pid_t caller);

/* Whether its owner's ID is one of this boot and of this PID namespace, so that owner_lives() is right about it. */
bool owner_was_here(int state);

/* Whether the file is missing or not whole: somebody makes the directory or removes it, or died while doing so. */
bool owner_is_missing(int state);

#endif
