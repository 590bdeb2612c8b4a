/* Makes packets of random fields, as a host may send them to the native init. */
#ifndef FUZZ_MAKE_FRAME_H
#define FUZZ_MAKE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_BYTES 65536

/* Bytes that are being written; what does not fit is left out. */
struct output {
	uint8_t bytes[FRAME_BYTES];
	size_t size;
};

/* Random numbers begin anew. */
void random_start(unsigned seed);
uint32_t random_below(uint32_t limit);
/* One that may overflow something, in most cases. */
uint32_t random_number(void);

uint32_t get32(const uint8_t *at);
void set32(uint8_t *at, uint32_t value);

void add(struct output *to, const void *data, size_t size);
void add32(struct output *to, uint32_t value);

/* A field of the kinds that fields_of() tells. */
void add_field(struct output *to, char kind);

/* A whole packet: a call, or standard input. */
void add_frame(struct output *to);

/*
 * The fields of a call. s: a text, b: bytes, u: 4 bytes, q: 8 bytes, l: a list of texts, n: a list of numbers. Empty for
 * an operation that does not exist.
 */
const char *fields_of(uint32_t proc);

#endif
