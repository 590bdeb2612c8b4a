/*
 * What every QEMU needs of a host: its own files, its libraries, and devices that belong to nobody.
 */
#ifndef VS_SYSTEM_H
#define VS_SYSTEM_H

#include "landlock.h"

/* @qemu: its path; @arguments: its own. */
int system_allow(const struct landlock *wall, const char *qemu, char *const arguments[]);

#endif
