/* What goes to the host: replies and events first, then the application's output, never more than the host takes. */
#ifndef VS_OUTPUT_H
#define VS_OUTPUT_H

#include "codec.h"

/* Queues a packet; its length is filled in. The caller made sure with output_has_room() that it fits. */
void output_packet(uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload, size_t size);
/* Whether a reply of any size fits, next to the event that ends everything. */
bool output_has_room(void);

/* Sends until nothing is left, the host is slow, or something else deserves a turn. */
void output_send(void);
/* The same, but for streams only the frame that was begun. */
void output_send_queued(void);
/* Whether there is something to send that waits for the channel to be writable. */
bool output_blocked(void);
/* Whether everything queued was sent, and no frame of a stream is half sent. */
bool output_empty(void);

#endif
