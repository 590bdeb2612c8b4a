#include "serve/wire.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for a host that does not read. */
#define PATIENCE_US (10 * MICROSECONDS_PER_SECOND)

static int port;
static uint64_t state;
struct calls calls;

uint32_t draw(uint32_t below)
{
	/* xorshift64 */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below == 0 ? 0 : (uint32_t)((state >> 16) % below);
}

void wire_open(int fd)
{
	port = fd;
}

void seed_with(const char *number)
{
	state = strtoull(number, NULL, 10) * 2654435761u + 88172645463325252u;
}

void wait_a_moment(void)
{
	struct timespec moment = {.tv_nsec = 2000000};

	(void)nanosleep(&moment, NULL);
}

bool send_bytes(const void *data, size_t size)
{
	static bool gone;
	const uint8_t *at = data;
	uint64_t deadline = clock_now() + PATIENCE_US;

	while (size > 0 && !gone) {
		ssize_t count = write(port, at, size);

		if (count > 0) {
			at += count;
			size -= (size_t)count;
		} else if ((count < 0 && errno != EAGAIN && errno != EINTR) || clock_now() >= deadline) {
			gone = true;
		} else {
			wait_a_moment();
		}
	}
	return !gone;
}

bool send_lie(uint32_t length, uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload,
	      size_t size)
{
	struct packet_header header = {length, proc, type, status, serial};
	uint8_t bytes[VS_HEADER_BYTES];

	header_encode(bytes, &header);
	return send_bytes(bytes, sizeof(bytes)) && send_bytes(payload, size);
}

bool send_packet(uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload, size_t size)
{
	return send_lie((uint32_t)(VS_HEADER_BYTES + size), proc, type, status, serial, payload, size);
}

void send_exit(uint32_t status)
{
	uint8_t payload[16];
	struct writer writer;

	writer_start(&writer, payload, sizeof(payload));
	put_u32(&writer, status);
	put_u32(&writer, 0);
	put_u32(&writer, 0);
	put_u32(&writer, 0);
	send_packet(VS_PROC_EXIT, VS_TYPE_MESSAGE, VS_STATUS_OK, APPLICATION, payload, writer.used);
}

void answer(const struct packet_header *call, uint32_t status, const void *payload, size_t size)
{
	send_packet(call->proc, VS_TYPE_REPLY, status, call->serial, payload, size);
}

void answer_well(const struct packet_header *call)
{
	static const uint8_t payload[SPAWNED_BYTES] = SPAWNED;

	answer(call, VS_STATUS_OK, payload, call->proc == VS_PROC_SPAWN ? SPAWNED_BYTES : 4);
}

/* Bytes of stdout that the host has said to have taken, in all that it sends from now on. */
static uint64_t take_acknowledged(void)
{
	static uint8_t received[1 << 16];
	static size_t size;
	uint64_t taken = 0;
	size_t at = 0;
	ssize_t count = read(port, received + size, sizeof(received) - size);

	if (count > 0)
		size += (size_t)count;
	while (size - at >= VS_HEADER_BYTES) {
		struct packet_header header;

		header_decode(&header, received + at);
		if (header.length < VS_HEADER_BYTES || header.length > size - at)
			break;
		if (header.proc == VS_PROC_STDOUT && header.type == VS_TYPE_REPLY) {
			struct reader reader = {.at = received + at + VS_HEADER_BYTES, .left = 4};

			taken += read_u32(&reader);
		}
		at += header.length;
	}
	memmove(received, received + at, size - at);
	size -= at;
	return taken;
}

bool send_output(const void *data, size_t size)
{
	static uint64_t ahead;
	uint64_t deadline = clock_now() + PATIENCE_US;

	while (ahead + size > VS_OUTPUT_WINDOW_BYTES) {
		uint64_t taken = take_acknowledged();

		ahead -= taken;
		if (clock_now() >= deadline)
			return false;
		if (taken == 0)
			wait_a_moment();
	}
	ahead += size;
	return send_packet(VS_PROC_STDOUT, VS_TYPE_DATA, 0, APPLICATION, data, size);
}

void answer_all(void)
{
	for (size_t i = 0; i < calls.count; i++)
		answer_well(&calls.made[i]);
	calls.count = 0;
}

void fill(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)draw(256);
}

uint32_t edge(void)
{
	static const uint32_t edges[] = {0,          1,          4,          19,        20,      21,
					 262143,     262144,     262145,     2359296,   2359297, 0x7fffffff,
					 0x80000000, 0xffffffeb, 0xfffffffe, 0xffffffff};

	return edges[draw(COUNT(edges))];
}

uint32_t any_proc(uint32_t below)
{
	uint32_t proc = draw(below);

	return proc == VS_PROC_STDERR ? VS_PROC_STDOUT : proc;
}

const struct packet_header *any_call(void)
{
	static const struct packet_header none = {.proc = VS_PROC_MOUNT, .serial = 1};

	return calls.count == 0 ? &none : &calls.made[draw((uint32_t)calls.count)];
}
