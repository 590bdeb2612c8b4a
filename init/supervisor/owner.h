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

/* What the file `owner` says. */
enum owner {
	/* A process of this boot and of this PID namespace, so that owner_lives() is right about it. */
	OWNER_HERE,
	/* Another process. */
	OWNER_ELSEWHERE,
	/* Nothing: the directory is none of a sandbox, or somebody makes it or removes it, or died while doing so. */
	OWNER_ABSENT,
	/* Not all: the same, or a loss of power. */
	OWNER_TORN,
};

enum owner owner_kind(int state);

/* A sign of life, for those who cannot see the owner. */
void owner_beat(int state);

/* Whether the last one, and the last change of the directory, are longer ago. */
bool owner_is_silent(int state, time_t seconds);

#endif
