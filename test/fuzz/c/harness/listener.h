/* The host's ear: cuts what the native init sends into packets. */
#ifndef FUZZ_LISTENER_H
#define FUZZ_LISTENER_H

#include "transport/codec.h"

/* Hears of each whole packet. */
typedef void listener_packet(const struct packet_header *header, const uint8_t *payload, size_t size);

/* Forgets what was heard, and says who hears of packets. */
void listener_start(listener_packet *on_packet);

/* Takes the next bytes. Packets have a possible length, else the fuzzer ends. */
void listener_take(const uint8_t *data, size_t size);

#endif
