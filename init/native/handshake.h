/* The first bytes of a connection. */
#ifndef VS_HANDSHAKE_H
#define VS_HANDSHAKE_H

#include "util.h"

/*
 * Waits for a host and agrees with it that packets follow. Bytes behind the handshake go to the channel. False when there is no
 * host by `deadline`, or this process was told to stop; the reason is on the console.
 */
bool handshake(int fd, uint64_t deadline);

#endif
