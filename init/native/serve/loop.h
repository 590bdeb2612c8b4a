/* The event loop between handshake and power off. */
#ifndef VS_LOOP_H
#define VS_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Takes signals: reaps children, and ends the channel when this process is told to stop. */
void loop_take_signals(void);
/* Tells a reaped child's owner; for reap_children() and processes_end(). */
void loop_child_ended(pid_t pid, int status);

/*
 * Serves the channel. True once the application has ended and all its output was sent, false once the channel has
 * ended.
 */
bool loop_until_end(void);
/* Goes on until the host says QUIT or is gone. */
void loop_until_quit(void);
/* Sends what is queued, at most until `deadline`. */
void loop_flush(uint64_t deadline);

#endif
