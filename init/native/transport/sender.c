#include "transport/sender.h"

#include "transport/channel.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/log.h"

#include <string.h>

/* Room that all else leaves for the EXIT of the application. */
#define RESERVED_BYTES 4096
#define QUEUE_BYTES (2 * VS_MAX_PACKET_BYTES + RESERVED_BYTES)
/* Limits the frames of one turn, so that input and signals get theirs. */
#define FRAMES_PER_TURN 16

static uint8_t queue[QUEUE_BYTES];
static size_t queue_start;
static size_t queue_end;
static bool blocked;

static size_t queued(void)
{
	return queue_end - queue_start;
}

void sender_queue(uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload, size_t size)
{
	struct packet_header header = {
		.length = (uint32_t)(VS_HEADER_BYTES + size),
		.proc = proc,
		.type = type,
		.status = status,
		.serial = serial,
	};

	if (size > VS_MAX_PACKET_BYTES - VS_HEADER_BYTES || header.length > sizeof(queue) - queued()) {
		/*
		 * Callers ask for room, so this cannot happen. A missing packet would make the host wait for ever, so
		 * say it.
		 */
		log_line("no room for a packet of %u bytes for proc %u; powering off", header.length, proc);
		channel_end("output queue overrun");
		return;
	}
	if (header.length > sizeof(queue) - queue_end) {
		memmove(queue, queue + queue_start, queued());
		queue_end -= queue_start;
		queue_start = 0;
	}
	header_encode(queue + queue_end, &header);
	if (size > 0)
		memcpy(queue + queue_end + VS_HEADER_BYTES, payload, size);
	queue_end += header.length;
}

bool sender_has_room(void)
{
	return sizeof(queue) - queued() >= VS_MAX_PACKET_BYTES + RESERVED_BYTES;
}

bool sender_blocked(void)
{
	return blocked;
}

bool sender_empty(void)
{
	return queued() == 0 && !streams_in_frame();
}

/* True when the queue is empty. */
static bool send_queue(void)
{
	while (queued() > 0) {
		ssize_t count = channel_write(queue + queue_start, queued());

		if (count < 0)
			return false;
		queue_start += (size_t)count;
	}
	queue_start = 0;
	queue_end = 0;
	return true;
}

static void queue_acknowledgements(void)
{
	uint32_t process;
	uint32_t size;

	while (sender_has_room() && (size = stdin_take_acknowledgement(&process)) > 0) {
		struct writer writer;
		uint8_t payload[4];

		writer_start(&writer, payload, sizeof(payload));
		put_u32(&writer, size);
		sender_queue(VS_PROC_STDIN, VS_TYPE_REPLY, VS_STATUS_OK, process, payload, writer.used);
	}
}

void sender_send_queued(void)
{
	/* Packets are whole: finish the one that was begun before anything else starts. */
	blocked = !streams_send() || !send_queue();
}

void sender_send(void)
{
	for (int frames = 0; channel_alive() && frames < FRAMES_PER_TURN; frames++) {
		queue_acknowledgements();
		sender_send_queued();
		if (blocked || !streams_fill())
			return;
	}
}
