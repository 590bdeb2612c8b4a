/* One host, from its greeting to its end. */
#ifndef VS_SERVE_H
#define VS_SERVE_H

#include "util.h"

/*
 * Serves the host on `fd`, which has to come before `deadline`. `can_splice`: see channel_open(). `started`: when this program was
 * started, of CLOCK_BOOTTIME. `finish` is called when nothing more is to run: before EXIT is sent, or when the channel has ended.
 */
void serve(int fd, bool can_splice, uint64_t deadline, uint64_t started, void (*finish)(void));

#endif
