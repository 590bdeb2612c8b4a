/*
 * Speaks to the launcher in the init's place. Root inside a machine takes the channel's descriptor from process 1, and
 * writes to it what no init would.
 *
 *   hostile-guest ATTACK SEED MILLISECONDS
 *
 * ATTACK is one of those below. It writes for so many milliseconds, or until the other side stops reading.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 20, CHUNK = 65536, MOST_FD = 256 };

/* src/protocol/wire.ts */
enum { STDOUT = 2, STDERR = 3, EXIT = 4, QUIT = 5, READY = 6, MOUNT = 32, SPAWN = 43, PROCS = 70 };
enum { MESSAGE = 0, DATA = 1, REPLY = 3, TYPES = 6 };

static uint32_t state;

static uint32_t below(uint32_t limit)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % limit;
}

static long long now_ms(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		return LLONG_MAX;
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The channel, as a descriptor of our own; -1 if there is none. */
static int steal(void)
{
	int init = (int)syscall(SYS_pidfd_open, 1, 0);

	for (int fd = 0; init >= 0 && fd < MOST_FD; fd++) {
		char link[64];
		char path[256];

		(void)snprintf(link, sizeof(link), "/proc/1/fd/%d", fd);
		ssize_t length = readlink(link, path, sizeof(path) - 1);

		if (length < 0)
			continue;
		path[length] = '\0';
		if (strstr(path, "vport"))
			return (int)syscall(SYS_pidfd_getfd, init, fd, 0);
	}
	return -1;
}

static void put(unsigned char *at, uint32_t value)
{
	uint32_t big = htonl(value);

	memcpy(at, &big, sizeof(big));
}

/* Bytes that would do something to a terminal. */
static void escapes(unsigned char *at, uint32_t length)
{
	static const char text[] = "\033[2J\033]0;title\007\033[6n\r\x9b"
				   "31m\b\x7f\n";

	for (uint32_t i = 0; i < length; i++)
		at[i] = (unsigned char)text[i % (sizeof(text) - 1)];
}

static void noise(unsigned char *at, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		at[i] = (unsigned char)below(256);
}

static uint32_t packet(unsigned char *at, uint32_t proc, uint32_t type, uint32_t status, uint32_t serial,
		       uint32_t payload)
{
	put(at, HEADER + payload);
	put(at + 4, proc);
	put(at + 8, type);
	put(at + 12, status);
	put(at + 16, serial);
	return HEADER + payload;
}

/* Fills `at` with what this attack sends next. @returns its length; 0: nothing more */
static uint32_t next(const char *attack, unsigned char *at, uint32_t round)
{
	unsigned char *payload = at + HEADER;
	uint32_t size;

	if (strcmp(attack, "garbage") == 0) {
		noise(at, CHUNK);
		return CHUNK;
	}
	if (strcmp(attack, "huge") == 0) {
		noise(payload, CHUNK - HEADER);
		(void)packet(at, below(PROCS), below(TYPES), 0, 1, 0);
		put(at, UINT_MAX - below(100));
		return CHUNK;
	}
	if (strcmp(attack, "tiny") == 0) {
		(void)packet(at, below(PROCS), below(TYPES), 0, 1, 0);
		put(at, below(HEADER));
		return HEADER;
	}
	if (strcmp(attack, "endless") == 0) {
		noise(payload, CHUNK - HEADER);
		return packet(at, STDOUT, DATA, 0, 1, CHUNK - HEADER);
	}
	if (strcmp(attack, "unasked") == 0) {
		size = below(64) * 4;
		noise(payload, size);
		return packet(at, MOUNT + below(PROCS - MOUNT), REPLY, below(4), below(1 << 16), size);
	}
	if (strcmp(attack, "early") == 0) {
		/* Results of calls that are made later: serial numbers count up. */
		put(payload, 0);
		return round < 4096 ? packet(at, SPAWN, REPLY, 0, round, 4) : 0;
	}
	if (strcmp(attack, "exit-twice") == 0) {
		put(payload, (3 + round) << 8);
		put(payload + 4, 0);
		put(payload + 8, 0);
		put(payload + 12, 0);
		/* Mostly of the application, which has number 1. */
		return round < 4 ? packet(at, EXIT, MESSAGE, 0, below(8) == 0 ? below(3) : 1, 16) : 0;
	}
	if (strcmp(attack, "ready-again") == 0) {
		escapes(payload, 256);
		return packet(at, READY, MESSAGE, 0, 0, below(65) * 4);
	}
	if (strcmp(attack, "strangers") == 0) {
		size = below(1024);
		noise(payload, size);
		return packet(at, STDOUT + below(2), DATA, 0, 2 + below(1 << 20), size);
	}
	if (strcmp(attack, "escapes") == 0) {
		/* As the text of an error, and as the text of everything else. */
		put(payload, 0);
		put(payload + 4, 5);
		put(payload + 8, 200);
		escapes(payload + 12, 200);
		return packet(at, below(2) ? MOUNT + below(30) : READY, below(2) ? REPLY : MESSAGE, 1, below(64), 212);
	}
	/* A mixture: any header, with some payload. */
	size = below(512);
	noise(payload, size);
	return packet(at, below(PROCS), below(TYPES), below(4), below(64), size);
}

/* Says that the attack is about to begin, while what the application says still comes through. */
static void announce(void)
{
	static const struct timespec moment = {.tv_nsec = 200000000};

	(void)fprintf(stderr, "attacking\n");
	(void)nanosleep(&moment, NULL);
}

/* Floods /dev/console or the kernel's log. */
static int flood(const char *path, long long end)
{
	static unsigned char line[900];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0) {
		perror("hostile-guest: nothing to flood");
		return 3;
	}
	announce();
	escapes(line, sizeof(line));
	line[sizeof(line) - 1] = '\n';
	while (now_ms() < end)
		if (write(fd, line, sizeof(line)) < 0 && errno != EINTR && errno != EAGAIN)
			return 4;
	return 0;
}

int main(int argc, char *argv[])
{
	static unsigned char buffer[CHUNK];

	if (argc != 4)
		return 2;
	state = (uint32_t)strtoul(argv[2], NULL, 10) | 1;
	long long end = now_ms() + strtol(argv[3], NULL, 10);

	if (strcmp(argv[1], "console") == 0)
		return flood("/dev/console", end);
	if (strcmp(argv[1], "log") == 0)
		return flood("/dev/kmsg", end);
	int channel = steal();

	if (channel < 0) {
		perror("hostile-guest: no channel");
		return 3;
	}
	announce();
	for (uint32_t round = 0; now_ms() < end; round++) {
		uint32_t length = next(argv[1], buffer, round);

		if (length == 0)
			break;
		for (uint32_t sent = 0; sent < length && now_ms() < end;) {
			ssize_t n = write(channel, buffer + sent, length - sent);

			if (n > 0)
				sent += (uint32_t)n;
			else if (n < 0 && errno != EINTR && errno != EAGAIN)
				return 4;
		}
	}
	return 0;
}
