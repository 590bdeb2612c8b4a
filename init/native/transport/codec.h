/* Packets and their fields: decodes what the host sent, encodes what it gets. Nothing here does I/O. */
#ifndef VS_CODEC_H
#define VS_CODEC_H

#include "transport/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet_header {
	uint32_t length;
	uint32_t proc;
	uint32_t type;
	uint32_t status;
	uint32_t serial;
};

void header_encode(uint8_t bytes[VS_HEADER_BYTES], const struct packet_header *header);
void header_decode(struct packet_header *header, const uint8_t bytes[VS_HEADER_BYTES]);
/* Says what is wrong with a header, if that ends the connection, or NULL. */
const char *header_fault(const struct packet_header *header);

struct span {
	const uint8_t *data;
	size_t size;
};

/*
 * Reads the fields of one payload. After the first field that is missing or malformed, `error` is set and every further
 * read gives zeros or empty values, so a caller checks once, at the end. Strings are copied to an arena that the next
 * reader_start() reuses.
 */
struct reader {
	const uint8_t *at;
	size_t left;
	int error;
};

void reader_start(struct reader *reader, const uint8_t *payload, size_t size);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
struct span read_bytes(struct reader *reader);
char *read_str(struct reader *reader);
/* Reads a str of at most VS_MAX_PATH_BYTES, else ENAMETOOLONG. */
char *read_path(struct reader *reader);
/*
 * Reads strings, NULL-terminated. The place before the first is free for the interpreter of a script. A payload may
 * hold up to two lists; `which` is 0 or 1.
 */
char **read_list(struct reader *reader, int which);
/* Reads numbers and stores their count in *count. A payload may hold one such list. */
const uint32_t *read_numbers(struct reader *reader, size_t *count);
/* Returns 0, or the error of the payload; EPROTO if bytes are left over. */
int reader_finish(struct reader *reader);

/* Writes fields. A field that does not fit sets `full`. */
struct writer {
	uint8_t *start;
	size_t size;
	size_t used;
	bool full;
};

void writer_start(struct writer *writer, void *buffer, size_t size);
void put_u32(struct writer *writer, uint32_t value);
void put_u64(struct writer *writer, uint64_t value);
void put_bytes(struct writer *writer, const void *data, size_t size);
void put_str(struct writer *writer, const char *text);

#endif
