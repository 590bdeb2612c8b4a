/* What is left of the initramfs after the root was switched. */
#ifndef VS_INITRAMFS_H
#define VS_INITRAMFS_H

#include "util.h"

/* When initramfs_step() has something to do, or UINT64_MAX. */
uint64_t initramfs_deadline(void);
/* Removes its files when that is due. */
void initramfs_step(void);

#endif
