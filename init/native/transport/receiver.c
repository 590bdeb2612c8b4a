#include "transport/receiver.h"

#include "transport/channel.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STAGING_BYTES 65536
/* Limits the reads of one turn. A port gives at most one page for each; after less there is likely nothing more. */
#define READS_PER_TURN 64
#define FULL_READ_BYTES 4096

static receiver_accept *accept_call;

/* Bytes that were read and not yet parsed. */
static uint8_t staging[STAGING_BYTES];
static size_t staging_at;
static size_t staging_end;

/* The packet that is being assembled. Data of stdin goes straight to the ring of its process instead. */
static uint8_t packet[VS_MAX_SPAWN_BYTES];
static size_t packet_have;
static struct packet_header header;
/* What is to come of a packet of stdin, and whose it is. */
static size_t stdin_left;
static uint32_t stdin_process;

void receiver_start(receiver_accept *accept)
{
	accept_call = accept;
}

void receiver_prime(const uint8_t *data, size_t size)
{
	if (size > sizeof(staging))
		size = sizeof(staging);
	memcpy(staging, data, size);
	staging_at = 0;
	staging_end = size;
}

static void violation(const char *what)
{
	log_line("the host sent %s (length %u, proc %u, type %u); powering off", what, header.length, header.proc,
		 header.type);
	channel_end("protocol violation");
}

/* Decides, with the header complete, what becomes of the payload. */
static void start_packet(void)
{
	const char *fault;
	size_t size;
	int slot;

	header_decode(&header, packet);
	fault = header_fault(&header);
	if (fault != NULL) {
		violation(fault);
		return;
	}
	if (header.proc != VS_PROC_STDIN || header.type != VS_TYPE_DATA)
		return;
	size = header.length - VS_HEADER_BYTES;
	slot = stdin_slot(header.serial);
	if (slot >= 0 && stdin_outstanding(slot) + size > VS_STDIN_WINDOW_BYTES) {
		violation("more stdin than it may");
		return;
	}
	packet_have = 0;
	stdin_left = size;
	stdin_process = header.serial;
	if (size == 0 && slot >= 0)
		stdin_end(slot);
}

/* The host has received output of a process, or its reader has. */
static void take_acknowledgement(void)
{
	struct reader reader = {.at = packet + VS_HEADER_BYTES, .left = header.length - VS_HEADER_BYTES};
	uint32_t size = read_u32(&reader);

	if (reader_finish(&reader) != 0 || !streams_acknowledge(header.serial, header.proc, size))
		violation("an acknowledgement of what it was not sent");
}

/* True when the packet is done with; false when it has to wait until a call can be taken. */
static bool finish_packet(void)
{
	if (header.type == VS_TYPE_CALL) {
		if (!accept_call(&header, packet + VS_HEADER_BYTES, header.length - VS_HEADER_BYTES))
			return false;
	} else if (header.type == VS_TYPE_MESSAGE && header.proc == VS_PROC_QUIT) {
		channel_end("the host said QUIT");
	} else if (header.type == VS_TYPE_REPLY && (header.proc == VS_PROC_STDOUT || header.proc == VS_PROC_STDERR)) {
		take_acknowledgement();
	} else {
		/* A later host may have reason to send it. */
		log_debug("packet of type %u for proc %u ignored", header.type, header.proc);
	}
	packet_have = 0;
	return true;
}

static bool packet_complete(void)
{
	return packet_have >= VS_HEADER_BYTES && packet_have == header.length;
}

static size_t consume(void *to, size_t wanted)
{
	size_t size = staging_end - staging_at;

	if (size > wanted)
		size = wanted;
	if (to != NULL)
		memcpy(to, staging + staging_at, size);
	staging_at += size;
	return size;
}

static void parse(void)
{
	for (;;) {
		if (channel_ended() || (packet_complete() && !finish_packet()))
			return;
		if (staging_at == staging_end)
			return;
		if (stdin_left > 0) {
			size_t size = staging_end - staging_at;

			if (size > stdin_left)
				size = stdin_left;
			/* The process may have ended since the packet began. */
			if (stdin_slot(stdin_process) >= 0)
				stdin_put(stdin_slot(stdin_process), staging + staging_at, size);
			staging_at += size;
			stdin_left -= size;
		} else if (packet_have < VS_HEADER_BYTES) {
			packet_have += consume(packet + packet_have, VS_HEADER_BYTES - packet_have);
			if (packet_have == VS_HEADER_BYTES)
				start_packet();
		} else {
			packet_have += consume(packet + packet_have, header.length - packet_have);
		}
	}
}

bool receiver_wants_input(void)
{
	return !channel_ended() && staging_at == staging_end && !packet_complete();
}

/* Does one read(2), straight to where the bytes belong if that is known. */
static ssize_t read_some(void)
{
	int slot = stdin_left > 0 ? stdin_slot(stdin_process) : -1;
	uint8_t *to;
	size_t size;
	ssize_t count;

	if (slot >= 0) {
		size = stdin_space(slot, &to);
		if (size > stdin_left)
			size = stdin_left;
		count = read(channel_in(), to, size);
		if (count > 0) {
			stdin_commit(slot, (size_t)count);
			stdin_left -= (size_t)count;
		}
		return count;
	}
	count = read(channel_in(), staging, sizeof(staging));
	if (count > 0) {
		staging_at = 0;
		staging_end = (size_t)count;
		parse();
	}
	return count;
}

void receiver_read(void)
{
	for (int i = 0; i < READS_PER_TURN && receiver_wants_input(); i++) {
		ssize_t count = read_some();

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			break;
		if (count < 0)
			log_debug("read of the channel: %s", strerror(errno));
		if (count <= 0) {
			channel_lost();
			break;
		}
		if (count < FULL_READ_BYTES)
			break;
	}
}

void receiver_resume(void)
{
	parse();
}
