/* Kernel modules of the initramfs. */
#ifndef VS_MODULES_H
#define VS_MODULES_H

#include "transport/codec.h"

/* From now on the kernel is not asked to check the signatures of modules, unless it insists: under emulation that takes long. */
void modules_leave_unchecked(void);

/* Loads one; returns 0 or an errno value (EEXIST: it is there already). */
int module_load(const char *path, const char *parameters);

/* Loads those listed in /modules/order, in that order, and remembers how each went. */
void modules_load(void);
/* Adds what is remembered as the list of READY. */
void modules_report(struct writer *to);

#endif
