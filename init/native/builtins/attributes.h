/* Modes and times, which not every file system keeps: neither FAT nor a share that gives all files to one user. */
#ifndef VS_ATTRIBUTES_H
#define VS_ATTRIBUTES_H

#include <stdbool.h>

/* Whether that is what the errno of a call says that was to set one for a file of this user. */
bool attributes_are_refused(int error);

#endif
