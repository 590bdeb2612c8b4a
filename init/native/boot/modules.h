/* Kernel modules of the initramfs. */
#ifndef VS_MODULES_H
#define VS_MODULES_H

#include "transport/codec.h"

/* Keeps the kernel from checking the signatures of modules, unless it insists: under emulation the check takes long. */
void modules_leave_unchecked(void);

/* Loads one module; returns 0 or an errno value (EEXIST: it is loaded already). */
int module_load(const char *path, const char *parameters);

/* Loads the modules that /modules/order lists, in that order, and records how each went. */
void modules_load(void);
/* Appends the records as the list in READY. */
void modules_report(struct writer *to);

#endif
