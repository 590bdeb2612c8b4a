/*
 * connect PORT: connects to a service of the sandbox by TCP, and carries bytes between it and the standard streams. Each
 * direction ends by itself.
 *
 * The connection is reset unless both directions have ended as they should, also where this process is killed.
 */
#include "builtins/builtins.h"

#include "shared/write_all.h"
#include "util/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define MOST_PORT 65535

enum { STDIN, STDOUT, PEER, POLLED };

/* The bytes of one direction. It reads when it has none, and writes when it has some. */
struct direction {
	/* -1: nothing more comes. */
	int from;
	int to;
	size_t start;
	size_t end;
	uint8_t bytes[BUFFER_BYTES];
};

static struct direction in;
static struct direction out;
static int peer = -1;
/* The errno with which the peer has broken the connection, or 0. What it sent before that still passes. */
static int broken;

static void set_resetting(bool resetting)
{
	const struct linger linger = {.l_onoff = resetting, .l_linger = 0};

	if (setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
		builtin_fail(errno, "setsockopt(SO_LINGER)");
}

/* False with errno. */
static bool connect_to(const struct sockaddr *address, socklen_t size)
{
	const int yes = 1;

	fd_close(&peer);
	peer = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (peer < 0)
		return false;
	/* What comes here has waited already for what could go with it. */
	if (setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
		builtin_fail(errno, "setsockopt(TCP_NODELAY)");
	set_resetting(true);
	return connect(peer, address, size) == 0;
}

static void connect_inside(uint16_t port)
{
	const struct sockaddr_in ip4 = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	const struct sockaddr_in6 ip6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int error;

	if (connect_to((const struct sockaddr *)&ip4, sizeof(ip4)))
		return;
	error = errno;
	/* Some services listen at ::1 only. If this one does not either, the first error is what people expect. */
	if (error != ECONNREFUSED || !connect_to((const struct sockaddr *)&ip6, sizeof(ip6)))
		builtin_fail(error, "connect(127.0.0.1:%u)", port);
}

static void set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		builtin_fail(errno, "fcntl(O_NONBLOCK)");
}

static bool is_empty(const struct direction *direction)
{
	return direction->start == direction->end;
}

static bool has_ended(const struct direction *direction)
{
	return direction->from < 0 && is_empty(direction);
}

/* Moves what can be moved now. False, with errno, if it cannot go on. */
static bool carry(struct direction *direction)
{
	ssize_t count;

	if (is_empty(direction) && direction->from >= 0) {
		count = read(direction->from, direction->bytes, sizeof(direction->bytes));
		if (count < 0)
			return errno == EAGAIN || errno == EINTR;
		if (count == 0)
			direction->from = -1;
		direction->start = 0;
		direction->end = (size_t)count;
	}
	if (is_empty(direction))
		return true;
	count = write(direction->to, direction->bytes + direction->start, direction->end - direction->start);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	direction->start += (size_t)count;
	return true;
}

/* The peer takes nothing any more. What the host sends from now on goes nowhere. */
static void stop_in(int error)
{
	broken = error;
	in.from = -1;
	in.start = in.end;
	(void)close(STDIN_FILENO);
}

static void carry_in(void)
{
	if (!carry(&in) || (has_ended(&in) && shutdown(peer, SHUT_WR) < 0))
		stop_in(errno);
}

static void carry_out(void)
{
	/* Errno 0: the peer has ended its direction, and nothing was cut off. */
	static const uint8_t ended[4];

	if (!carry(&out))
		builtin_fail(broken != 0 ? broken : errno, "carrying from the peer");
	if (!has_ended(&out) || broken != 0)
		return;
	if (write_all(STDERR_FILENO, ended, sizeof(ended)) < 0)
		builtin_fail(errno, "write(stderr)");
	(void)close(STDOUT_FILENO);
}

static void wait_for_any(void)
{
	bool reads_peer = out.from >= 0 && is_empty(&out);
	struct pollfd polled[POLLED] = {
		[STDIN] = {.fd = is_empty(&in) ? in.from : -1, .events = POLLIN},
		[STDOUT] = {.fd = is_empty(&out) ? -1 : STDOUT_FILENO, .events = POLLOUT},
		/* With nothing to read or write, a reset is still to be seen, until the end of `in` has been passed on. */
		[PEER] =
			{
				.fd = reads_peer || !has_ended(&in) ? peer : -1,
				.events = (short)((reads_peer ? POLLIN : 0) | (is_empty(&in) ? 0 : POLLOUT)),
			},
	};

	if (poll(polled, POLLED, -1) < 0 && errno != EINTR)
		builtin_fail(errno, "poll");
	if (polled[PEER].events == 0 && polled[PEER].revents != 0)
		stop_in(ECONNRESET);
}

static uint16_t port_of(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || port == 0 || port > MOST_PORT)
		builtin_fail(EINVAL, "port %s", text);
	return (uint16_t)port;
}

void builtin_connect(char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	connect_inside(port_of(argv[0]));
	in.from = STDIN_FILENO;
	in.to = peer;
	out.from = peer;
	out.to = STDOUT_FILENO;
	set_nonblocking(in.from);
	set_nonblocking(out.to);
	set_nonblocking(peer);
	while (!has_ended(&in) || !has_ended(&out)) {
		wait_for_any();
		if (!has_ended(&in))
			carry_in();
		if (!has_ended(&out))
			carry_out();
	}
	if (broken != 0)
		builtin_fail(broken, "carrying to the peer");
	set_resetting(false);
}
