/* What is left of the initramfs after the root was switched: files in memory that the application should have. */
#ifndef VS_INITRAMFS_H
#define VS_INITRAMFS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes the descriptor of the old root and removes its files later, if it is the initramfs. */
void initramfs_discard(int root);
/* When initramfs_step() has something to do, or UINT64_MAX. */
uint64_t initramfs_deadline(void);
/* Removes the files when that is due. */
void initramfs_step(void);

#endif
