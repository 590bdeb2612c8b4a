/*
 * One frame of output on its way to the host: header and payload in one buffer, so that it is one write(2). Or its
 * payload is pages that move from a process's pipe to the host without a copy.
 */
#ifndef VS_FRAME_H
#define VS_FRAME_H

#include "transport/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FRAME_PAYLOAD_BYTES (VS_MAX_PACKET_BYTES - VS_HEADER_BYTES)
/* Of moved pages as many whole ones as fit, because a part of a page must be copied. */
#define FRAME_MOVED_BYTES (FRAME_PAYLOAD_BYTES / 4096 * 4096)

/* Prepares for moving pages, if this host takes them. */
void frame_allow_moving(void);
bool frame_may_move(void);

/* Room for FRAME_PAYLOAD_BYTES. Of use only while no frame is on its way, as is frame_move(). */
uint8_t *frame_payload(void);
/* Moves up to `size` bytes of a pipe, at most FRAME_MOVED_BYTES, to be the payload. Returns what splice(2) does. */
ssize_t frame_move(int fd, size_t size);
/* Puts the header before the payload that is there now. */
void frame_start(const struct packet_header *header);
/* Sends the rest. False if the host is slow or gone. */
bool frame_send(void);
bool frame_on_its_way(void);

#endif
