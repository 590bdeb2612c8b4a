/*
 * connect-udp PORT: a client of a service of the sandbox by UDP. Each datagram is a record on the standard streams: u32
 * size, big-endian, then its bytes. What cannot be passed on now is lost, as it is on a network.
 */
#include "builtins/builtins.h"

#include "builtins/service.h"
#include "util/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of IPv4. */
#define MOST_BYTES 65507
#define SIZE_BYTES 4

enum { STDIN, STDOUT, PEER, POLLED };

struct datagram {
	size_t size;
	uint8_t bytes[MOST_BYTES];
};

/* What was read of stdin and is no whole record yet. */
static struct {
	size_t size;
	uint8_t bytes[SIZE_BYTES + MOST_BYTES];
} in;

/* A record that stdout has not taken in full. */
static struct {
	size_t start;
	size_t end;
	uint8_t bytes[SIZE_BYTES + MOST_BYTES];
} out;

static uint16_t port;
static int peer = -1;
static int family = AF_INET;
/* The service has answered at this address. */
static bool answered;
/* The one that was sent last, and whether it was sent to both addresses. */
static struct datagram last;
static bool repeated;

static int connected(int at)
{
	const union service_address address = service_at(at, port);
	int fd = service_socket(at, SOCK_DGRAM);

	if (fd >= 0 && !service_connect(fd, &address))
		fd_close(&fd);
	return fd;
}

/* -1 with errno. */
static int open_peer(int at)
{
	int fd = connected(at);
	int another;

	if (fd < 0 || !service_is_itself(fd))
		return fd;
	/* The first one keeps its port until the second has got another. */
	another = connected(at);
	fd_close(&fd);
	return another;
}

static void transmit(void)
{
	/* An error may be that of a datagram before. */
	for (int tries = 0; tries < 2; tries++) {
		if (send(peer, last.bytes, last.size, 0) >= 0 || (errno != ECONNREFUSED && errno != EINTR))
			return;
	}
}

/* Nobody listens at this address. Some services listen at ::1 only. */
static void repeat_at_other(void)
{
	int other = family == AF_INET ? AF_INET6 : AF_INET;
	int fd;

	if (answered || repeated || (fd = open_peer(other)) < 0)
		return;
	fd_close(&peer);
	peer = fd;
	family = other;
	repeated = true;
	transmit();
}

static void look_for_refusal(void)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		builtin_fail(errno, "getsockopt(SO_ERROR)");
	if (error == ECONNREFUSED)
		repeat_at_other();
}

static uint32_t size_of(const uint8_t *record)
{
	return (uint32_t)record[0] << 24 | (uint32_t)record[1] << 16 | (uint32_t)record[2] << 8 | record[3];
}

static void send_records(void)
{
	size_t at = 0;

	while (in.size - at >= SIZE_BYTES) {
		uint32_t size = size_of(in.bytes + at);

		if (size > MOST_BYTES)
			builtin_fail(EPROTO, "a datagram of %u bytes", size);
		if (in.size - at - SIZE_BYTES < size)
			break;
		look_for_refusal();
		memcpy(last.bytes, in.bytes + at + SIZE_BYTES, size);
		last.size = size;
		repeated = false;
		transmit();
		at += SIZE_BYTES + size;
	}
	in.size -= at;
	memmove(in.bytes, in.bytes + at, in.size);
}

/* False at the end of stdin. */
static bool read_in(void)
{
	ssize_t count = read(STDIN_FILENO, in.bytes + in.size, sizeof(in.bytes) - in.size);

	if (count < 0 && errno != EAGAIN && errno != EINTR)
		builtin_fail(errno, "read(stdin)");
	if (count == 0 && in.size > 0)
		builtin_fail(EPROTO, "a part of a datagram");
	if (count > 0) {
		in.size += (size_t)count;
		send_records();
	}
	return count != 0;
}

static void receive(void)
{
	ssize_t count;

	look_for_refusal();
	count = recv(peer, out.bytes + SIZE_BYTES, MOST_BYTES, MSG_TRUNC);
	if (count < 0 && errno == ECONNREFUSED)
		repeat_at_other();
	else if (count < 0 && errno != EAGAIN && errno != EINTR)
		builtin_fail(errno, "recv");
	if (count < 0)
		return;
	answered = true;
	/* IPv6 has longer ones. */
	if (count > MOST_BYTES)
		return;
	for (int i = 0; i < SIZE_BYTES; i++)
		out.bytes[i] = (uint8_t)((size_t)count >> (24 - 8 * i));
	out.start = 0;
	out.end = SIZE_BYTES + (size_t)count;
}

static void write_out(void)
{
	ssize_t count = write(STDOUT_FILENO, out.bytes + out.start, out.end - out.start);

	if (count < 0 && errno != EAGAIN && errno != EINTR)
		builtin_fail(errno, "write(stdout)");
	if (count > 0)
		out.start += (size_t)count;
}

void builtin_connect_udp(char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	port = service_port(argv[0]);
	peer = open_peer(family);
	if (peer < 0)
		builtin_fail(errno, "connect(127.0.0.1:%u)", port);
	service_set_nonblocking(STDIN_FILENO);
	service_set_nonblocking(STDOUT_FILENO);
	for (;;) {
		bool is_writing = out.start < out.end;
		struct pollfd polled[POLLED] = {
			[STDIN] = {.fd = STDIN_FILENO, .events = POLLIN},
			[STDOUT] = {.fd = is_writing ? STDOUT_FILENO : -1, .events = POLLOUT},
			/* The kernel keeps some of what comes meanwhile, and drops the rest. */
			[PEER] = {.fd = is_writing ? -1 : peer, .events = POLLIN},
		};

		if (poll(polled, POLLED, -1) < 0 && errno != EINTR)
			builtin_fail(errno, "poll");
		if (polled[STDIN].revents != 0 && !read_in())
			return;
		if (polled[PEER].revents != 0)
			receive();
		if (out.start < out.end)
			write_out();
	}
}
