/* What is left of the initramfs after the root was switched: files that occupy memory. */
#ifndef VS_INITRAMFS_H
#define VS_INITRAMFS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the descriptor of the old root. If it is the initramfs, initramfs_step() removes its files later. */
void initramfs_discard(int root);
/* When initramfs_step() has something to do, or UINT64_MAX. */
uint64_t initramfs_deadline(void);
/* Removes the files once that is due. */
void initramfs_step(void);

#endif
