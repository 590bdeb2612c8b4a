/*
 * Streams of packets as a host sends them to the native init (docs/protocol.md), and a mutator that knows their structure:
 * most of what it makes are calls whose fields can be decoded.
 *
 * An input begins with FRAMES_SCHEDULE_BYTES that say how reads and writes are cut. Packets follow.
 */
#ifndef FUZZ_FRAMES_H
#define FUZZ_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define FRAMES_SCHEDULE_BYTES 2

/* Mutates an input in place. Returns its new size, at most `most`. */
size_t frames_mutate(uint8_t *data, size_t size, size_t most, unsigned seed);

#endif
