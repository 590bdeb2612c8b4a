/*
 * Stands in the place of init/native/serve/serve.c, with the files beside it: an init that boots as the real one does, and attacks its host. It
 * answers each call until one has the word ATTACK=NAME:SEED; in its payload, then it attacks, and at last it ends. The
 * kernel argument ATTACK=NAME:SEED has it attack before any call. LATER=NAME:SEED; has it attack when the clock is set next. The same seed
 * sends the same bytes.
 */
#include "serve/serve.h"

#include "boot/modules.h"
#include "serve/attacks.h"
#include "serve/loop.h"
#include "serve/wire.h"
#include "transport/handshake.h"
#include "transport/receiver.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static int port;
/* What the host has sent and nobody has looked at. */
static uint8_t received[8 << 20];
static size_t received_size;

/* Reads what there is. False if there is no host. */
static bool take_input(void)
{
	ssize_t count = read(port, received + received_size, sizeof(received) - received_size);

	if (count > 0)
		received_size += (size_t)count;
	return count > 0 || (count < 0 && errno == EAGAIN);
}

static void stay(void)
{
	uint64_t deadline = clock_now() + 2 * MICROSECONDS_PER_SECOND;

	while (clock_now() < deadline) {
		received_size = 0;
		if (!take_input())
			return;
		wait_a_moment();
	}
}

/* The NAME:SEED behind a word in these packets, up to a semicolon. False if there is none. */
static bool find_order(const char *word, const uint8_t *packets, size_t size, char *order, size_t order_size)
{
	const uint8_t *found = memmem(packets, size, word, strlen(word));

	if (found == NULL)
		return false;
	found += strlen(word);
	const uint8_t *end = memchr(found, ';', size - (size_t)(found - packets));

	if (end == NULL || (size_t)(end - found) >= order_size)
		return false;
	memcpy(order, found, (size_t)(end - found));
	order[end - found] = '\0';
	return true;
}

/* Carries out an order, which is over then. False if it is none. */
static bool carry_out(char *order)
{
	char *number = strchr(order, ':');

	if (number == NULL)
		return false;
	*number = '\0';
	seed_with(number + 1);
	attack_run(order);
	stay();
	return true;
}

/* True if these packets ordered an attack, which is over then. */
static bool attacked(const uint8_t *packets, size_t size)
{
	char order[64] = "";

	return find_order("ATTACK=", packets, size, order, sizeof(order)) && carry_out(order);
}

/* An attack for later: when the host sets the clock of a machine that has waited. */
static char postponed[64];

/* True if these packets ordered it. The process that they started does as if it ran, and ends. */
static bool postpone(const uint8_t *packets, size_t size)
{
	if (!find_order("LATER=", packets, size, postponed, sizeof(postponed)))
		return false;
	send_packet(VS_PROC_STDOUT, VS_TYPE_DATA, 0, APPLICATION, NULL, 0);
	send_packet(VS_PROC_STDERR, VS_TYPE_DATA, 0, APPLICATION, NULL, 0);
	send_exit(0);
	return true;
}

static bool sets_clock(void)
{
	for (size_t i = 0; i < calls.count; i++)
		if (calls.made[i].proc == VS_PROC_SET_CLOCK)
			return true;
	return false;
}

/* Notes the calls among the complete packets, and drops all of them. Returns how many bytes they had. */
static size_t take_packets(void)
{
	size_t at = 0;

	while (received_size - at >= VS_HEADER_BYTES) {
		struct packet_header header;

		header_decode(&header, received + at);
		if (header.length < VS_HEADER_BYTES || header.length > received_size - at)
			break;
		if (header.type == VS_TYPE_CALL && calls.count < MOST_CALLS)
			calls.made[calls.count++] = header;
		at += header.length;
	}
	memmove(received, received + at, received_size - at);
	received_size -= at;
	return at;
}

static void send_ready(uint64_t started)
{
	static uint8_t payload[VS_MAX_PACKET_BYTES - VS_HEADER_BYTES];
	struct utsname system;
	struct writer writer;

	if (uname(&system) < 0)
		system.release[0] = '\0';
	writer_start(&writer, payload, sizeof(payload));
	put_u32(&writer, VS_PROTOCOL_VERSION);
	put_str(&writer, system.release);
	put_u64(&writer, started);
	put_u64(&writer, clock_read(CLOCK_BOOTTIME));
	modules_report(&writer);
	send_packet(VS_PROC_READY, VS_TYPE_MESSAGE, VS_STATUS_OK, 0, payload, writer.used);
}

/* What the kernel argument orders: "greeting" or "ready". */
static bool ordered_early(const char *name)
{
	const char *order = getenv("ATTACK");
	size_t length = strlen(name);

	if (order == NULL || strncmp(order, name, length) != 0 || order[length] != ':')
		return false;
	seed_with(order + length + 1);
	return true;
}

static bool accept_none(const struct packet_header *header, const uint8_t *payload, size_t size)
{
	(void)header;
	(void)payload;
	(void)size;
	return true;
}

void serve(const struct service *service)
{
	size_t quiet = 0;

	port = service->fd;
	wire_open(port);
	receiver_start(accept_none);
	if (ordered_early("greeting")) {
		attack_greeting();
		stay();
		return;
	}
	if (!handshake(service->fd, service->deadline, service->one_peer, loop_take_signals))
		return;
	if (ordered_early("ready")) {
		attack_ready();
		stay();
		return;
	}
	send_ready(service->started);
	for (;;) {
		size_t before = received_size;

		/* A snapshot is saved while no host is connected. */
		(void)take_input();
		quiet = received_size == before ? quiet + 1 : 0;
		if (quiet < 3 || received_size == 0) {
			wait_a_moment();
			continue;
		}
		/* All of a plan is here, because it comes at once. */
		static uint8_t copy[sizeof(received)];

		memcpy(copy, received, received_size);
		size_t size = take_packets();

		if (attacked(copy, size))
			return;
		if (postponed[0] != '\0' && sets_clock() && carry_out(postponed))
			return;
		answer_all();
		(void)postpone(copy, size);
	}
}
