#include "vhost/device.h"

#include "vhost/protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/*
 * So many requests in a row, and QEMU is listened to again. It may wait for an answer with all that it does, as when it
 * ends. One that reads is of some MiB at most (files/request.h).
 */
#define REQUESTS_IN_A_ROW 64
/* So many, and the guest is called for them though there are more: a processor of its may wait for the first. */
#define REQUESTS_IN_A_CALL 16

void device_open(struct device *device, int socket, bool is_saved, device_serve serve, void *context)
{
	(void)memset(device, 0, sizeof(*device));
	device->socket = socket;
	device->is_saved = is_saved;
	device->serve = serve;
	device->context = context;
	for (size_t index = 0; index < DEVICE_RINGS; index += 1)
		ring_clear(&device->rings[index]);
}

/* Serves what is in a ring. *more: it has not come to the end. */
static const char *serve_ring(struct device *device, struct ring *ring, bool *more)
{
	*more = false;
	if (!ring_resolve(ring, &device->memory))
		return "a ring is not in memory";
	for (size_t count = 0; count < REQUESTS_IN_A_ROW; count += 1) {
		bool taken;
		const char *failed = ring_take(ring, &device->memory, &device->chain, &taken);

		if (failed != NULL)
			return failed;
		if (taken && device->is_saved)
			return "the guest of a machine that is saved makes a request";
		if (taken) {
			ring_put(ring, &device->chain, device->serve(device->context, &device->chain));
			if (count % REQUESTS_IN_A_CALL == REQUESTS_IN_A_CALL - 1)
				ring_call(ring);
			continue;
		}
		ring_call(ring);
		if (!ring_await(ring))
			return NULL;
	}
	ring_call(ring);
	*more = true;
	return NULL;
}

/* Takes the kick, so that the descriptor waits for the next one. False if it is no descriptor of events. */
static bool take_kick(const struct ring *ring)
{
	uint64_t count;

	const ssize_t n = read(ring->kick, &count, sizeof(count));

	return n == (ssize_t)sizeof(count) || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static const char *serve_kicked(struct device *device, const struct pollfd kicks[], bool more[])
{
	for (size_t index = 0; index < DEVICE_RINGS; index += 1) {
		struct ring *ring = &device->rings[index];
		const bool is_kicked = (kicks[index].revents & POLLIN) != 0;

		if (!ring_is_ready(ring)) {
			more[index] = false;
			continue;
		}
		if ((kicks[index].revents & (POLLERR | POLLNVAL | POLLHUP)) != 0 || (is_kicked && !take_kick(ring)))
			return "a ring's kicks are not from a descriptor of events";
		if (!is_kicked && !more[index])
			continue;
		const char *failed = serve_ring(device, ring, &more[index]);

		if (failed != NULL)
			return failed;
	}
	return NULL;
}

const char *device_run(struct device *device)
{
	bool more[DEVICE_RINGS] = {false};
	bool end = false;
	const char *failed = NULL;

	while (failed == NULL && !end) {
		struct pollfd fds[DEVICE_RINGS + 1];
		bool hurry = false;

		for (size_t index = 0; index < DEVICE_RINGS; index += 1) {
			const struct ring *ring = &device->rings[index];

			/* poll(2) leaves out what is negative. */
			fds[index] = (struct pollfd){.fd = ring_is_ready(ring) ? ring->kick : -1, .events = POLLIN};
			hurry = hurry || more[index];
		}
		fds[DEVICE_RINGS] = (struct pollfd){.fd = device->socket, .events = POLLIN};
		if (poll(fds, DEVICE_RINGS + 1, hurry ? 0 : -1) < 0) {
			if (errno != EINTR)
				failed = "poll";
			continue;
		}
		failed = serve_kicked(device, fds, more);
		if (failed == NULL && fds[DEVICE_RINGS].revents != 0)
			failed = protocol_step(device, &end);
	}
	return failed;
}

void device_close(struct device *device)
{
	memory_clear(&device->memory);
	for (size_t index = 0; index < DEVICE_RINGS; index += 1) {
		if (device->rings[index].kick >= 0)
			(void)close(device->rings[index].kick);
		if (device->rings[index].call >= 0)
			(void)close(device->rings[index].call);
	}
}
