/* Pseudo-terminals. */
#ifndef VS_TERMINAL_H
#define VS_TERMINAL_H

#include <stdint.h>

/*
 * Opens a pair. *host_side gets the end that stays here, non-blocking. Returns the application's end, or -1 with errno
 * and the failed step in *step.
 */
int terminal_open(int *host_side, uint32_t owner, uint16_t rows, uint16_t columns, const char **step);
int terminal_resize(int host_side, uint16_t rows, uint16_t columns);

#endif
