/* The signature behind a module's last section. */
#ifndef VS_SIGNATURE_H
#define VS_SIGNATURE_H

#include <stddef.h>

/*
 * Returns how many bytes the module itself has: all of them if it has no signature, or one that gives an impossible
 * size.
 */
size_t signature_start(const unsigned char *module, size_t size);

#endif
