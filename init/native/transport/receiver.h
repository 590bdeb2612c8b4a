/* Receives from the host: cuts the byte stream into packets, hands on calls, and puts stdin into its ring. */
#ifndef VS_RECEIVER_H
#define VS_RECEIVER_H

#include "transport/codec.h"

/* Takes a call. False if there is no room for it now: the receiver offers the same call again. */
typedef bool receiver_accept(const struct packet_header *header, const uint8_t *payload, size_t size);

/* Sets who takes calls. Call it before anything is read. */
void receiver_start(receiver_accept *accept);
/* Takes bytes that came behind the handshake in the same read. */
void receiver_prime(const uint8_t *data, size_t size);

/* Reads what has arrived and hands it on. Returns when there is no more, or other work deserves a turn. */
void receiver_read(void);
/* Hands on what had to wait, if that is possible now. */
void receiver_resume(void);
/* Whether there is room for more input. Without room it stays in the kernel, and the host has to wait. */
bool receiver_wants_input(void);

#endif
