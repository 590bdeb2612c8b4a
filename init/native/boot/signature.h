/* The signature behind a module's last section. */
#ifndef VS_SIGNATURE_H
#define VS_SIGNATURE_H

#include <stddef.h>

/* How many of these bytes are the module itself: all of them where there is no signature, or where the size that it gives cannot be. */
size_t signature_start(const unsigned char *module, size_t size);

#endif
