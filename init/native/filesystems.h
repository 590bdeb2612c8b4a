/* The end of file systems. */
#ifndef VS_FILESYSTEMS_H
#define VS_FILESYSTEMS_H

#include "util.h"

/* Keeps what is needed later even when the root has changed: descriptors of /proc and /dev. */
void filesystems_keep(void);
/* Opens a file of the kept /dev where the root has none; -1 with errno. */
int device_open(const char *name, int flags);

/* Syncs and unmounts what holds data, the root read-only, bounded in time. */
void filesystems_end(bool container);

#endif
