/* A process that stands still, since its control group does: with groups of version 1 it ends only when it goes on. */
#ifndef VS_FREEZER_H
#define VS_FREEZER_H

#include <sys/types.h>

/* Lets all of its group go on. Does nothing where the freezer is one of version 2, which lets killed processes end. */
void freezer_thaw(pid_t pid);

#endif
