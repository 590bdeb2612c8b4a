/* Sends to the host: replies and events first, then the application's output, never more than the host takes. */
#ifndef VS_SENDER_H
#define VS_SENDER_H

#include "transport/codec.h"

/* Queues a packet and fills in its length. The caller asks sender_has_room() first. */
void sender_queue(uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload, size_t size);
/* Whether a reply of any size fits, next to EXIT. */
bool sender_has_room(void);

/* Sends until nothing is left, the host is slow, or other work deserves a turn. */
void sender_send(void);
/* Sends the queue, and of the streams only the frame that was begun. */
void sender_send_queued(void);
/* Whether something waits for the channel to be writable. */
bool sender_blocked(void);
/* Whether everything queued was sent, and no frame of a stream is half sent. */
bool sender_empty(void);

#endif
