#include "transport/handshake.h"

#include "transport/channel.h"
#include "transport/protocol.h"
#include "transport/receiver.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* How often to look for an absent host where no signal reports one. */
#define LOOK_US (1 * MICROSECONDS_PER_SECOND)

/* A host that got its answer says SYNC at once. If it still asks after this long, another host has come unnoticed. */
#define ASK_AGAIN_US (5 * MICROSECONDS_PER_SECOND)

enum progress { WAITING, ANSWERED, AGREED };

/*
 * poll() reports POLLHUP on a port while no host is connected, so it cannot wait for one. The port's driver sends SIGIO
 * when a host comes or goes. A snapshot holds a machine in exactly this wait.
 */
static void set_asynchronous(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC) < 0)
		log_debug("fcntl(O_ASYNC): %s", strerror(errno));
}

static bool answer(int fd)
{
	const uint8_t sync = VS_HANDSHAKE_SYNC;

	for (;;) {
		ssize_t count = write(fd, &sync, 1);

		if (count == 1)
			return true;
		if (count < 0 && errno == EINTR)
			continue;
		/*
		 * Nothing was sent before, so there is room unless the host has gone. A host that comes back starts
		 * again.
		 */
		return false;
	}
}

static uint64_t answered_at;

static bool wants_answer(enum progress progress)
{
	return progress == WAITING || clock_now() - answered_at >= ASK_AGAIN_US;
}

/* Returns how far the handshake is after these bytes. */
static enum progress take(int fd, enum progress progress, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		/* Any other byte is noise, such as the echo of a console. */
		if (bytes[i] == VS_HANDSHAKE_WAIT && wants_answer(progress)) {
			if (answer(fd)) {
				progress = ANSWERED;
				answered_at = clock_now();
			}
		} else if (progress == ANSWERED && bytes[i] == VS_HANDSHAKE_SYNC) {
			receiver_prime(bytes + i + 1, size - i - 1);
			return AGREED;
		}
	}
	return progress;
}

/*
 * libvirt's controller serves a container's terminal. It has noted that nobody had the terminal open, and opening it is
 * no event at the other end. A byte is one, and the host ignores it.
 */
static void announce(int fd)
{
	if (isatty(fd) != 0 && write(fd, "\n", 1) != 1)
		log_debug("write to the terminal: %s", strerror(errno));
}

bool handshake(int fd, uint64_t deadline, bool one_peer, void (*on_signals)(void))
{
	enum progress progress = WAITING;
	uint8_t bytes[4096];
	bool absent = false;

	set_asynchronous(fd, true);
	announce(fd);
	while (progress != AGREED) {
		struct pollfd set[2] = {
			{.fd = signals_fd(), .events = POLLIN},
			{.fd = absent ? -1 : fd, .events = POLLIN},
		};
		uint64_t look = clock_now() + LOOK_US;
		ssize_t count;

		if (clock_now() >= deadline) {
			log_line("no host has connected in time");
			return false;
		}
		if (poll(set, 2, clock_poll_timeout(absent && look < deadline ? look : deadline)) < 0 &&
		    errno != EINTR) {
			log_line("poll: %s", strerror(errno));
			return false;
		}
		if ((set[0].revents & POLLIN) != 0)
			on_signals();
		if (channel_ended())
			return false;
		count = read(fd, bytes, sizeof(bytes));
		if (count > 0) {
			progress = take(fd, progress, bytes, (size_t)count);
			continue;
		}
		/* Neither data nor a host: the next host starts from the beginning. */
		absent = count == 0 || errno != EAGAIN;
		if (absent && one_peer) {
			log_line("the common init has ended before it began");
			return false;
		}
		if (absent)
			progress = WAITING;
	}
	set_asynchronous(fd, false);
	return true;
}
