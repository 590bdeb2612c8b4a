/* A process that stands still, since its control group does: with groups of version 1 it ends only when it goes on. */
#ifndef VS_FREEZER_H
#define VS_FREEZER_H

#include <sys/types.h>

/*
 * The group of a process, before it is killed: its ID may be another process's afterwards. -1 where the freezer is one of
 * version 2, which lets killed processes end.
 */
int freezer_open(pid_t pid);

/* Lets all of the group go on, and closes it. */
void freezer_thaw(int fd);

#endif
