#include "serve/attacks.h"

#include "serve/wire.h"
#include "util/log.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static uint8_t scratch[1 << 18];

static void garbage(void)
{
	for (int i = 0; i < 64; i++) {
		size_t size = 1 + draw(8192);

		fill(scratch, size);
		if (!send_bytes(scratch, size))
			return;
	}
}

static void lengths(void)
{
	for (int i = 0; i < 16; i++) {
		size_t size = draw(2) == 0 ? draw(64) : draw(sizeof(scratch));

		fill(scratch, size);
		if (!send_lie(edge(), draw(2) == 0 ? VS_PROC_STDOUT : any_proc(70), draw(5), draw(4), draw(8), scratch,
			      size))
			return;
	}
}

/* Honest, byte by byte. */
static void tiny(void)
{
	static const uint8_t spawned[SPAWNED_BYTES] = SPAWNED;

	for (size_t i = 0; i < calls.count; i++) {
		bool is_spawn = calls.made[i].proc == VS_PROC_SPAWN;
		struct packet_header header = {.proc = calls.made[i].proc,
					       .type = VS_TYPE_REPLY,
					       .serial = calls.made[i].serial,
					       .length = VS_HEADER_BYTES + (is_spawn ? SPAWNED_BYTES : 4)};
		uint8_t bytes[VS_HEADER_BYTES + SPAWNED_BYTES] = {0};

		header_encode(bytes, &header);
		if (is_spawn)
			memcpy(bytes + VS_HEADER_BYTES, spawned, sizeof(spawned));
		for (uint32_t at = 0; at < header.length; at++)
			send_bytes(bytes + at, 1);
	}
	for (int i = 0; i < 2000; i++)
		send_packet(VS_PROC_STDOUT, VS_TYPE_DATA, 0, APPLICATION, "x", 1);
	send_exit(CLAIMED);
}

static void endless_output(void)
{
	answer_all();
	for (int i = 0; i < 512; i++) {
		fill(scratch, 64);
		if (!send_output(scratch, VS_MAX_PACKET_BYTES - VS_HEADER_BYTES))
			return;
	}
	send_exit(CLAIMED);
}

/* One stream, whatever the host has taken of it. */
static void more_than_window(void)
{
	answer_all();
	for (int i = 0; i < 512; i++) {
		fill(scratch, 64);
		if (!send_packet(VS_PROC_STDOUT, VS_TYPE_DATA, 0, APPLICATION, scratch,
				 VS_MAX_PACKET_BYTES - VS_HEADER_BYTES))
			return;
	}
	send_exit(CLAIMED);
}

/* What is about processes that are not: output, its end, stdin that was taken, exits. */
static void other_processes(void)
{
	answer_all();
	for (int i = 0; i < 16; i++) {
		uint32_t number = draw(2) == 0 ? 2 + draw(300) : edge();

		if (number == APPLICATION)
			continue;
		fill(scratch, 16);
		switch (draw(3)) {
		case 0:
			send_packet(VS_PROC_STDOUT, VS_TYPE_DATA, 0, number, scratch, draw(2) * 16);
			break;
		case 1:
			send_packet(VS_PROC_STDIN, VS_TYPE_REPLY, 0, number, scratch, 4);
			break;
		default:
			send_packet(VS_PROC_EXIT, VS_TYPE_MESSAGE, 0, number, scratch, 16);
		}
	}
	send_exit(CLAIMED);
}

/* The application is said to run, under a number that no process has. */
static void no_number(void)
{
	static const uint8_t payload[SPAWNED_BYTES];

	for (size_t i = 0; i < calls.count; i++) {
		if (calls.made[i].proc == VS_PROC_SPAWN)
			answer(&calls.made[i], VS_STATUS_OK, payload, sizeof(payload));
		else
			answer_well(&calls.made[i]);
	}
	send_exit(CLAIMED);
}

/* A packet that never ends. */
static void endless_packet(void)
{
	if (draw(2) == 0)
		answer_all();
	send_lie(VS_MAX_PACKET_BYTES, any_call()->proc, VS_TYPE_REPLY, draw(3), any_call()->serial, scratch,
		 draw(1000));
}

static void unasked(void)
{
	for (int i = 0; i < 64; i++) {
		size_t size = draw(32);

		fill(scratch, size);
		if (!send_packet(32 + draw(40), VS_TYPE_REPLY, draw(4), draw(2) == 0 ? draw(1000) : edge(), scratch,
				 size))
			return;
	}
}

/* Results of calls that were not made yet. */
static void early_results(void)
{
	uint32_t last = calls.count == 0 ? 0 : calls.made[calls.count - 1].serial;

	answer_all();
	for (uint32_t i = 1; i < 64; i++)
		send_packet(VS_PROC_SYNC, VS_TYPE_REPLY, VS_STATUS_OK, last + i, scratch, 4);
}

static void ready_again(void)
{
	answer_all();
	for (int i = 0; i < 8; i++) {
		size_t size = draw(256);

		fill(scratch, size);
		if (draw(4) == 0)
			memset(scratch, 0xff, size);
		send_packet(VS_PROC_READY, VS_TYPE_MESSAGE, 0, 0, scratch, size);
	}
	send_exit(CLAIMED);
}

static void asks(void)
{
	for (uint32_t proc = 0; proc < 80; proc++) {
		size_t size = draw(64);

		fill(scratch, size);
		send_packet(proc, VS_TYPE_CALL, draw(4), proc, scratch, size);
	}
}

static void acknowledges(void)
{
	uint8_t payload[4];
	struct writer writer;

	answer_all();
	for (int i = 0; i < 500; i++) {
		writer_start(&writer, payload, sizeof(payload));
		put_u32(&writer, edge());
		send_packet(VS_PROC_STDIN, VS_TYPE_REPLY, 0, draw(3), payload, sizeof(payload));
	}
	send_exit(CLAIMED);
}

static void exit_twice(void)
{
	if (draw(2) == 0)
		answer_all();
	send_exit(CLAIMED);
	send_exit(9 << 8);
	send_packet(VS_PROC_STDOUT, VS_TYPE_DATA, 0, APPLICATION, "late", 4);
	send_exit(CLAIMED);
}

static void odd_exit(void)
{
	answer_all();
	send_exit(draw(2) == 0 ? edge() : draw(0xffffffff));
}

static void after_end(void)
{
	answer_all();
	for (int i = 0; i < 32; i++)
		send_packet(VS_PROC_STDOUT + draw(2), VS_TYPE_DATA, 0, APPLICATION, "again\n", draw(2) == 0 ? 0 : 6);
	send_exit(CLAIMED);
	send_packet(VS_PROC_STDERR, VS_TYPE_DATA, 0, APPLICATION, "again\n", 6);
}

/* Streams of processes that are not, and packets that no version knows. */
static void unknown(void)
{
	if (draw(2) == 0)
		answer_all();
	for (int i = 0; i < 64; i++) {
		size_t size = draw(128);

		fill(scratch, size);
		send_packet(draw(2) == 0 ? any_proc(32) : edge(), draw(2) == 0 ? VS_TYPE_DATA : edge(), edge(), edge(),
			    scratch, size);
	}
}

static void on_console(const char *text, size_t size, int times)
{
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	for (int i = 0; fd >= 0 && i < times; i++)
		if (write(fd, text, size) < 0)
			break;
	if (fd >= 0)
		(void)close(fd);
}

/* An error with escapes in its text, and the same on the console, which the host shows after a failure. */
static void escapes(void)
{
	uint8_t payload[512];
	struct writer writer;

	on_console(ESCAPES, sizeof(ESCAPES) - 1, 3);
	on_console("\n", 1, 1);
	writer_start(&writer, payload, sizeof(payload));
	put_u32(&writer, 0);
	put_u32(&writer, draw(140));
	put_str(&writer, ESCAPES);
	answer(any_call(), VS_STATUS_ERROR, payload, writer.used);
}

static void console_flood(void)
{
	memset(scratch, 'a' + (int)draw(26), sizeof(scratch));
	if (draw(2) == 0)
		for (size_t i = 80; i < sizeof(scratch); i += 1 + draw(200))
			scratch[i] = '\n';
	on_console((const char *)scratch, sizeof(scratch), 1);
	if (draw(2) == 0)
		return;
	answer_all();
	send_exit(CLAIMED);
}

/* Replies that are nearly right. */
static void mutated(void)
{
	for (size_t i = 0; i < calls.count; i++) {
		size_t size = draw(8) == 0 ? draw(64) : 4;

		memset(scratch, 0, size);
		if (draw(4) == 0)
			fill(scratch, size);
		send_packet(draw(16) == 0 ? draw(70) : calls.made[i].proc, VS_TYPE_REPLY,
			    draw(8) == 0 ? draw(5) : VS_STATUS_OK, draw(16) == 0 ? draw(50) : calls.made[i].serial,
			    scratch, size);
	}
	if (draw(2) == 0)
		send_exit(CLAIMED);
}

/* By the names that test/helpers/hostile-guest.ts has. */
static const struct attack {
	const char *name;
	void (*run)(void);
} ATTACKS[] = {
	{"garbage", garbage},
	{"lengths", lengths},
	{"tiny", tiny},
	{"endless-output", endless_output},
	{"endless-packet", endless_packet},
	{"more-than-window", more_than_window},
	{"other-processes", other_processes},
	{"no-number", no_number},
	{"unasked", unasked},
	{"early-results", early_results},
	{"ready-again", ready_again},
	{"asks", asks},
	{"acknowledges", acknowledges},
	{"exit-twice", exit_twice},
	{"odd-exit", odd_exit},
	{"after-end", after_end},
	{"unknown", unknown},
	{"escapes", escapes},
	{"console-flood", console_flood},
	{"mutated", mutated},
};

void attack_run(const char *name)
{
	for (size_t i = 0; i < COUNT(ATTACKS); i++)
		if (strcmp(ATTACKS[i].name, name) == 0) {
			log_line("attack %s", name);
			ATTACKS[i].run();
			return;
		}
	log_line("unknown attack");
}
