/* The first bytes of a connection. */
#ifndef VS_HANDSHAKE_H
#define VS_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Waits for a host and agrees with it that packets follow. The receiver gets the bytes behind the handshake. With
 * `one_peer`, a peer that goes away does not come back. Calls `on_signals` when signals have arrived. False, with the
 * reason logged, if no host comes by `deadline` or the channel ends meanwhile.
 */
bool handshake(int fd, uint64_t deadline, bool one_peer, void (*on_signals)(void));

#endif
