/* Sections of a module that it can do without. */
#ifndef VS_SECTIONS_H
#define VS_SECTIONS_H

#include <stddef.h>

/*
 * Marks these sections so that the kernel skips them. `module` is a private copy. Leaves a file alone that is not
 * 64-bit ELF.
 */
void sections_pass_over(unsigned char *module, size_t size);

#endif
