#include "harness/frames.h"

#include "harness/make_frame.h"
#include "transport/protocol.h"

#include <stdbool.h>
#include <string.h>

#define MOST_FRAMES 64
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* Where a field ends, so that one can be replaced; the end of the payload if it cannot be decoded. */
static size_t field_end(const uint8_t *payload, size_t size, size_t at, char kind)
{
	size_t bytes = kind == 'q' ? 8 : 4;

	if (size - at < bytes)
		return size;
	if (kind == 'u' || kind == 'q')
		return at + bytes;
	uint32_t count = get32(payload + at);

	at += 4;
	if (kind == 's' || kind == 'b')
		return count <= size - at ? at + count : size;
	if (kind == 'n')
		return count <= (size - at) / 4 ? at + 4 * (size_t)count : size;
	for (; count > 0 && at < size; count--)
		at = field_end(payload, size, at, 's');
	return at;
}

/* Mutates the content of a field of text, or replaces a field by a new one. */
static void change_field(struct output *to, const uint8_t *payload, size_t start, size_t end, char kind)
{
	static uint8_t content[FRAME_BYTES];
	bool is_text = (kind == 's' || kind == 'b') && end - start >= 4;

	if (!is_text || random_below(3) == 0) {
		add_field(to, kind);
		return;
	}
	size_t size = end - start - 4;

	memcpy(content, payload + start + 4, size);
	size = LLVMFuzzerMutate(content, size, size + 64 < sizeof(content) ? size + 64 : sizeof(content));
	add32(to, (uint32_t)size);
	add(to, content, size);
}

static void change_payload(struct output *to, const uint8_t *frame, size_t size)
{
	const char *fields = fields_of(get32(frame + 4));
	const uint8_t *payload = frame + VS_HEADER_BYTES;
	size_t left = size - VS_HEADER_BYTES;
	size_t start = to->size;
	size_t at = 0;
	uint32_t chosen = *fields == '\0' ? 0 : random_below((uint32_t)strlen(fields));

	add(to, frame, VS_HEADER_BYTES);
	for (uint32_t i = 0; fields[i] != '\0'; i++) {
		size_t end = field_end(payload, left, at, fields[i]);

		if (i == chosen)
			change_field(to, payload, at, end, fields[i]);
		else
			add(to, payload + at, end - at);
		at = end;
	}
	/* What is behind the fields. Of data there is no field. */
	if (random_below(8) != 0)
		add(to, payload + at, left - at);
	if (to->size >= start + 4)
		set32(to->bytes + start, (uint32_t)(to->size - start));
}

static void change_header(struct output *to, const uint8_t *frame, size_t size)
{
	static const uint32_t procs[] = {VS_PROC_STDIN, VS_PROC_STDOUT, VS_PROC_STDERR,
					 VS_PROC_EXIT,  VS_PROC_QUIT,   VS_PROC_READY};
	size_t start = to->size;

	add(to, frame, size);
	if (to->size < start + VS_HEADER_BYTES)
		return;
	uint8_t *header = to->bytes + start;

	switch (random_below(6)) {
	case 0:
		set32(header, random_number());
		break;
	case 1:
		set32(header + 4, random_below(2) == 0 ? procs[random_below(COUNT(procs))] : random_below(70));
		break;
	case 2:
		set32(header + 8, random_below(2) == 0 ? random_below(5) : random_number());
		break;
	case 3:
		set32(header + 12, random_below(2) == 0 ? random_below(5) : random_number());
		break;
	case 4:
		set32(header + 16, random_below(2) == 0 ? random_below(4) : random_number());
		break;
	default:
		/* A length that is wrong by a little. */
		set32(header, (uint32_t)size + random_below(9) - 4);
	}
}

struct frame {
	const uint8_t *at;
	size_t size;
};

/* Cuts packets; what is none counts as one that reaches to the end. */
static size_t cut(struct frame *frames, const uint8_t *data, size_t size)
{
	size_t count = 0;

	while (size > 0 && count < MOST_FRAMES) {
		size_t length = size < VS_HEADER_BYTES ? size : get32(data);

		if (length < VS_HEADER_BYTES || length > size || count == MOST_FRAMES - 1)
			length = size;
		frames[count++] = (struct frame){data, length};
		data += length;
		size -= length;
	}
	return count;
}

enum change { INSERT, REMOVE, REPEAT, SWAP, HEADER, PAYLOAD };

static void change_one(struct output *to, const struct frame *frames, size_t count)
{
	static const enum change changes[] = {INSERT, INSERT,  REMOVE,  REPEAT,  SWAP,
					      HEADER, PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD};
	enum change change = changes[random_below(COUNT(changes))];
	size_t chosen = count == 0 ? 0 : random_below((uint32_t)count);

	if (count == 0) {
		add_frame(to);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct frame *frame = &frames[i];
		bool is_whole = frame->size >= VS_HEADER_BYTES;

		if (i != chosen) {
			add(to, frame->at, frame->size);
			continue;
		}
		if (change == INSERT) {
			add_frame(to);
			add(to, frame->at, frame->size);
		} else if (change == REPEAT) {
			add(to, frame->at, frame->size);
			add(to, frame->at, frame->size);
		} else if (change == SWAP && i + 1 < count) {
			add(to, frames[i + 1].at, frames[i + 1].size);
			add(to, frame->at, frame->size);
			i++;
		} else if (change == HEADER && is_whole) {
			change_header(to, frame->at, frame->size);
		} else if (change == PAYLOAD && is_whole) {
			change_payload(to, frame->at, frame->size);
		} else if (change != REMOVE) {
			add(to, frame->at, frame->size);
		}
	}
	if (change == INSERT && random_below(2) == 0)
		add_frame(to);
}

size_t frames_mutate(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	static struct output output;
	struct frame frames[MOST_FRAMES];

	random_start(seed);
	/* Now and then without any structure: the schedule, the framing, the end. */
	if (size < FRAMES_SCHEDULE_BYTES || random_below(16) == 0)
		return LLVMFuzzerMutate(data, size, most);
	output.size = 0;
	add(&output, data, FRAMES_SCHEDULE_BYTES);
	change_one(&output, frames, cut(frames, data + FRAMES_SCHEDULE_BYTES, size - FRAMES_SCHEDULE_BYTES));
	if (random_below(32) == 0)
		output.size -= random_below((uint32_t)output.size);
	size = output.size < most ? output.size : most;
	memcpy(data, output.bytes, size);
	return size;
}
