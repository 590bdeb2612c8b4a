#include "transport/codec.h"

#include <errno.h>
#include <string.h>

#define LIST_ITEMS (VS_MAX_SPAWN_BYTES / 4)
#define MAX_NUMBERS (VS_MAX_PACKET_BYTES / 4)

/*
 * A string takes its length and 4 bytes on the wire, and its length and 1 byte here, so the strings of a packet always
 * fit. A list is checked against the bytes that are left, at least 4 for each item. Only pages that are used take
 * memory.
 */
static char arena[VS_MAX_SPAWN_BYTES];
static size_t arena_used;
static char *lists[2][LIST_ITEMS + 2];
static uint32_t numbers[MAX_NUMBERS];

static uint32_t decode_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void encode_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

void header_encode(uint8_t bytes[VS_HEADER_BYTES], const struct packet_header *header)
{
	encode_u32(bytes, header->length);
	encode_u32(bytes + 4, header->proc);
	encode_u32(bytes + 8, header->type);
	encode_u32(bytes + 12, header->status);
	encode_u32(bytes + 16, header->serial);
}

void header_decode(struct packet_header *header, const uint8_t bytes[VS_HEADER_BYTES])
{
	header->length = decode_u32(bytes);
	header->proc = decode_u32(bytes + 4);
	header->type = decode_u32(bytes + 8);
	header->status = decode_u32(bytes + 12);
	header->serial = decode_u32(bytes + 16);
}

static uint32_t longest(const struct packet_header *header)
{
	return header->type == VS_TYPE_CALL && header->proc == VS_PROC_SPAWN ? VS_MAX_SPAWN_BYTES : VS_MAX_PACKET_BYTES;
}

const char *header_fault(const struct packet_header *header)
{
	if (header->length < VS_HEADER_BYTES)
		return "a packet shorter than its header";
	if (header->length > longest(header))
		return "a packet longer than the limit";
	if (header->type > VS_TYPE_REPLY)
		return "a packet of unknown type";
	return NULL;
}

void reader_start(struct reader *reader, const uint8_t *payload, size_t size)
{
	reader->at = payload;
	reader->left = size;
	reader->error = 0;
	arena_used = 0;
}

static void reader_fail(struct reader *reader, int error)
{
	if (reader->error == 0)
		reader->error = error;
	reader->left = 0;
}

static const uint8_t *take(struct reader *reader, size_t size)
{
	const uint8_t *at = reader->at;

	if (reader->left < size) {
		reader_fail(reader, EPROTO);
		return NULL;
	}
	reader->at += size;
	reader->left -= size;
	return at;
}

uint32_t read_u32(struct reader *reader)
{
	const uint8_t *at = take(reader, 4);

	return at == NULL ? 0 : decode_u32(at);
}

uint64_t read_u64(struct reader *reader)
{
	uint64_t high = read_u32(reader);

	return high << 32 | read_u32(reader);
}

struct span read_bytes(struct reader *reader)
{
	uint32_t size = read_u32(reader);
	const uint8_t *at = take(reader, size);

	return at == NULL ? (struct span){NULL, 0} : (struct span){at, size};
}

char *read_str(struct reader *reader)
{
	static char empty[1];
	struct span bytes = read_bytes(reader);
	char *text;

	if (reader->error != 0) {
		empty[0] = '\0';
		return empty;
	}
	if (bytes.size > 0 && memchr(bytes.data, '\0', bytes.size) != NULL)
		reader_fail(reader, EPROTO);
	if (bytes.size + 1 > sizeof(arena) - arena_used) {
		reader_fail(reader, EPROTO);
		empty[0] = '\0';
		return empty;
	}
	text = arena + arena_used;
	if (bytes.size > 0)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	arena_used += bytes.size + 1;
	return text;
}

char *read_path(struct reader *reader)
{
	char *path = read_str(reader);

	if (strlen(path) > VS_MAX_PATH_BYTES)
		reader_fail(reader, ENAMETOOLONG);
	return path;
}

char **read_list(struct reader *reader, int which)
{
	char **items = lists[which] + 1;
	uint32_t count = read_u32(reader);

	if (count > reader->left / 4) {
		reader_fail(reader, EPROTO);
		count = 0;
	}
	for (uint32_t i = 0; i < count; i++)
		items[i] = read_str(reader);
	items[count] = NULL;
	return items;
}

const uint32_t *read_numbers(struct reader *reader, size_t *count)
{
	uint32_t announced = read_u32(reader);

	if (announced > reader->left / 4 || announced > MAX_NUMBERS) {
		reader_fail(reader, EPROTO);
		announced = 0;
	}
	for (uint32_t i = 0; i < announced; i++)
		numbers[i] = read_u32(reader);
	*count = announced;
	return numbers;
}

int reader_finish(struct reader *reader)
{
	if (reader->error == 0 && reader->left > 0)
		reader_fail(reader, EPROTO);
	return reader->error;
}

void writer_start(struct writer *writer, void *buffer, size_t size)
{
	writer->start = buffer;
	writer->size = size;
	writer->used = 0;
	writer->full = false;
}

static uint8_t *claim(struct writer *writer, size_t size)
{
	uint8_t *at = writer->start + writer->used;

	if (writer->full || writer->size - writer->used < size) {
		writer->full = true;
		return NULL;
	}
	writer->used += size;
	return at;
}

void put_u32(struct writer *writer, uint32_t value)
{
	uint8_t *at = claim(writer, 4);

	if (at != NULL)
		encode_u32(at, value);
}

void put_u64(struct writer *writer, uint64_t value)
{
	put_u32(writer, (uint32_t)(value >> 32));
	put_u32(writer, (uint32_t)value);
}

void put_bytes(struct writer *writer, const void *data, size_t size)
{
	uint8_t *at;

	put_u32(writer, (uint32_t)size);
	at = claim(writer, size);
	if (at != NULL && size > 0)
		memcpy(at, data, size);
}

void put_str(struct writer *writer, const char *text)
{
	put_bytes(writer, text, strlen(text));
}
