/* The event loop between handshake and power off. */
#ifndef VS_LOOP_H
#define VS_LOOP_H

#include "util.h"

/* Serves the channel until the application has ended with all its output sent (true), or the channel has ended (false). */
bool loop_until_end(void);
/* Goes on until the host says QUIT or is gone. */
void loop_until_quit(void);
/* Sends what is queued, at most until `deadline`. */
void loop_flush(uint64_t deadline);

#endif
