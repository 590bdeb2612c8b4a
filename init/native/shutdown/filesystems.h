/* The end of file systems. */
#ifndef VS_FILESYSTEMS_H
#define VS_FILESYSTEMS_H

/* Syncs and unmounts what holds data and makes the root read-only, within a time limit. */
void filesystems_end(void);

#endif
