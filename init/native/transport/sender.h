/* What goes to the host: replies and events first, then the application's output, never more than the host takes. */
#ifndef VS_OUTPUT_H
#define VS_OUTPUT_H

#include "transport/codec.h"

/* Queues a packet; its length is filled in. The caller made sure with sender_has_room() that it fits. */
void sender_queue(uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload, size_t size);
/* Whether a reply of any size fits, next to the event that ends everything. */
bool sender_has_room(void);

/* Sends until nothing is left, the host is slow, or something else deserves a turn. */
void sender_send(void);
/* The same, but for streams only the frame that was begun. */
void sender_send_queued(void);
/* Whether there is something to send that waits for the channel to be writable. */
bool sender_blocked(void);
/* Whether everything queued was sent, and no frame of a stream is half sent. */
bool sender_empty(void);

#endif
