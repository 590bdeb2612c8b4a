/* Parts of a module that it does without. */
#ifndef VS_SECTIONS_H
#define VS_SECTIONS_H

#include <stddef.h>

/* Has the kernel pass over them; the module is a copy that may be changed, and one that is no ELF file for 64 bits is left as it is. */
void sections_pass_over(unsigned char *module, size_t size);

#endif
