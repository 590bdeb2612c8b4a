/* The boot's /proc, /dev and /sys, held open: the application's root may lack them or mount others there. */
#ifndef VS_KERNEL_DIRS_H
#define VS_KERNEL_DIRS_H

/* Opens and keeps the three. Call it once, after they are mounted. */
void kernel_dirs_keep(void);
/* Opens a device by its name in /dev, or in the kept /dev if the root has no such file; -1 with errno. */
int kernel_dirs_open_device(const char *name, int flags);
/* Opens this process's mount table; -1 with errno. */
int kernel_dirs_open_mountinfo(void);
/* Opens the directory that lists every block device the kernel knows; -1 with errno. */
int kernel_dirs_open_block_devices(void);

#endif
