/* A setting of the host's kernel, below /proc/sys. */
#ifndef VS_SETTING_H
#define VS_SETTING_H

/* The number that a setting is. @otherwise what it counts as if it cannot be read */
unsigned long setting_read(const char *path, unsigned long otherwise);

#endif
