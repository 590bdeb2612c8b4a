/* /proc, /dev and /sys of the boot, held open: the application's root may lack them, or have others. */
#ifndef VS_KERNEL_DIRS_H
#define VS_KERNEL_DIRS_H

/* Opens and keeps them. Call it once, when they are mounted. */
void kernel_dirs_keep(void);
/* Opens a device by its name in /dev, and in the kept /dev if the root has no such file; -1 with errno. */
int kernel_dirs_open_device(const char *name, int flags);
/* Opens this process's table of mounts; -1 with errno. */
int kernel_dirs_open_mountinfo(void);
/* Opens the directory of all block devices that the kernel knows; -1 with errno. */
int kernel_dirs_open_block_devices(void);

#endif
