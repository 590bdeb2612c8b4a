/*
 * connect PORT|PATH: connects to a service of the sandbox by TCP, or at a socket with an absolute path, and carries bytes
 * between it and the standard streams. Each direction ends by itself.
 *
 * The connection is reset unless both directions have ended as they should, also where this process is killed.
 */
#include "builtins/builtins.h"

#include "builtins/service.h"
#include "shared/write_all.h"
#include "util/clock.h"
#include "util/fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
/* The kernel answers for a service unless its queue is full. One whose queue is full for longer accepts nobody. */
#define CONNECT_MICROSECONDS (5 * (uint64_t)MICROSECONDS_PER_SECOND)

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

/* Waits for the answer to a connect(). Its errno, or 0. */
static int await_connection(void)
{
	struct pollfd polled = {.fd = peer, .events = POLLOUT};
	/* The kernel would go on for two minutes where the service accepts nothing. */
	const uint64_t deadline = clock_now() + CONNECT_MICROSECONDS;
	int error = 0;
	socklen_t size = sizeof(error);
	int count;

	while ((count = poll(&polled, 1, clock_poll_timeout(deadline))) < 0) {
		if (errno != EINTR)
			builtin_fail(errno, "poll");
	}
	if (count == 0)
		return ETIMEDOUT;
	if (getsockopt(peer, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		builtin_fail(errno, "getsockopt(SO_ERROR)");
	/* It was there, and is broken already. What came before can still be read. */
	if (error == ECONNRESET || error == EPIPE)
		broken = error;
	return broken != 0 ? 0 : error;
}

/* An errno, or 0. */
static int connect_to(int family, uint16_t port)
{
	const union service_address address = service_at(family, port);
	const int yes = 1;
	int error = 0;

	fd_close(&peer);
	peer = service_socket(family, SOCK_STREAM);
	if (peer < 0)
		return errno;
	/* What comes here has waited already for what could go with it. */
	if (setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
		builtin_fail(errno, "setsockopt(TCP_NODELAY)");
	set_resetting(true);
	if (!service_connect(peer, &address))
		error = errno == EINPROGRESS ? await_connection() : errno;
	return error == 0 && service_is_itself(peer) ? ECONNREFUSED : error;
}

static void connect_inside(uint16_t port)
{
	int error = connect_to(AF_INET, port);

	/* Some services listen at ::1 only. If this one does not either, the first error is what people expect. */
	if (error != 0 && (error != ECONNREFUSED || connect_to(AF_INET6, port) != 0))
		builtin_fail(error, "connect(127.0.0.1:%u)", port);
}

static void connect_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		builtin_fail(ENAMETOOLONG, "connect(%s)", path);
	strcpy(address.sun_path, path);
	peer = service_socket(AF_UNIX, SOCK_STREAM);
	/* A service whose queue is full is EAGAIN at once. */
	if (peer < 0 || connect(peer, (const struct sockaddr *)&address, sizeof(address)) < 0)
		builtin_fail(errno, "connect(%s)", path);
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

void builtin_connect(char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (argv[0][0] == '/')
		connect_at(argv[0]);
	else
		connect_inside(service_port(argv[0]));
	in.from = STDIN_FILENO;
	in.to = peer;
	out.from = peer;
	out.to = STDOUT_FILENO;
	service_set_nonblocking(in.from);
	service_set_nonblocking(out.to);
	if (broken != 0)
		stop_in(broken);
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
