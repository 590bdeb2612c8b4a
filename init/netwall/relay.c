#include "relay.h"

#include "log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LENGTH_BYTES 4

/* What QEMU takes and sends at most: NET_BUFSIZE in its source. */
#define MOST_FRAME_BYTES (4096 + 65536)

#define BUFFER_BYTES (4 * MOST_FRAME_BYTES)

/* One direction. Bytes up to `ready` may be sent, and `sent` of them are; those behind are not a whole frame yet. */
struct way {
	size_t sent;
	size_t ready;
	size_t filled;
	uint8_t buffer[BUFFER_BYTES];
};

static struct way up;
static struct way down;

enum progress { PROGRESS_OK, PROGRESS_CLOSED, PROGRESS_FAILED };

static enum progress progress_of_errno(void)
{
	if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)
		return PROGRESS_OK;
	return errno == ECONNRESET || errno == EPIPE ? PROGRESS_CLOSED : PROGRESS_FAILED;
}

static enum progress fill(struct way *way, int from)
{
	ssize_t n = recv(from, way->buffer + way->filled, sizeof(way->buffer) - way->filled, MSG_DONTWAIT);

	if (n < 0)
		return progress_of_errno();
	if (n == 0)
		return PROGRESS_CLOSED;
	way->filled += (size_t)n;
	return PROGRESS_OK;
}

static enum progress flush(struct way *way, int to)
{
	while (way->sent < way->ready) {
		ssize_t n = send(to, way->buffer + way->sent, way->ready - way->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return progress_of_errno();
		way->sent += (size_t)n;
	}
	way->filled -= way->ready;
	memmove(way->buffer, way->buffer + way->ready, way->filled);
	way->sent = 0;
	way->ready = 0;
	return PROGRESS_OK;
}

static size_t frame_length(const uint8_t *at)
{
	return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

/* Keeps the whole frames that may pass, and moves what is behind them up. False if it is no stream of frames. */
static bool sift(const struct filter *filter, struct way *way)
{
	size_t at = 0;

	while (way->filled - at >= LENGTH_BYTES) {
		size_t length = frame_length(way->buffer + at);
		size_t bytes = LENGTH_BYTES + length;

		if (length > MOST_FRAME_BYTES)
			return false;
		if (way->filled - at < bytes)
			break;
		if (filter_passes(filter, way->buffer + at + LENGTH_BYTES, length)) {
			if (way->ready != at)
				memmove(way->buffer + way->ready, way->buffer + at, bytes);
			way->ready += bytes;
		}
		at += bytes;
	}
	way->filled -= at;
	if (way->ready != at)
		memmove(way->buffer + way->ready, way->buffer + at, way->filled);
	way->filled += way->ready;
	return true;
}

static enum relay_end end_of(enum progress progress, enum relay_end closed, const char *what)
{
	if (progress == PROGRESS_FAILED)
		log_errno(what);
	return progress == PROGRESS_FAILED ? RELAY_FAILED : closed;
}

enum relay_end relay(struct filter *filter, int qemu, int passt)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = qemu, .events = (up.ready == 0 ? POLLIN : 0) | (down.ready > 0 ? POLLOUT : 0)},
			{.fd = passt, .events = (down.ready == 0 ? POLLIN : 0) | (up.ready > 0 ? POLLOUT : 0)},
			{.fd = filter->addresses.changes, .events = POLLIN},
		};
		enum progress progress = PROGRESS_OK;

		if (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			log_errno("poll");
			return RELAY_FAILED;
		}
		if (fds[0].revents & (POLLHUP | POLLERR))
			return RELAY_QEMU_CLOSED;
		if (fds[1].revents & (POLLHUP | POLLERR))
			return RELAY_PASST_CLOSED;
		/* Before any frame, so that it is judged by what is so now. */
		if (fds[2].revents != 0 && !addresses_follow(&filter->addresses))
			return RELAY_FAILED;

		if (up.ready == 0 && fds[0].revents & POLLIN) {
			progress = fill(&up, qemu);
			if (progress != PROGRESS_OK)
				return end_of(progress, RELAY_QEMU_CLOSED, "reading from QEMU");
			if (!sift(filter, &up)) {
				log_line("QEMU sends what is no frame");
				return RELAY_FAILED;
			}
		}
		if (up.ready > 0)
			progress = flush(&up, passt);
		if (progress != PROGRESS_OK)
			return end_of(progress, RELAY_PASST_CLOSED, "writing to passt");

		if (down.ready == 0 && fds[1].revents & POLLIN) {
			progress = fill(&down, passt);
			if (progress != PROGRESS_OK)
				return end_of(progress, RELAY_PASST_CLOSED, "reading from passt");
			down.ready = down.filled;
		}
		if (down.ready > 0)
			progress = flush(&down, qemu);
		if (progress != PROGRESS_OK)
			return end_of(progress, RELAY_QEMU_CLOSED, "writing to QEMU");
	}
}
