/*
 * Frames of a guest on their way through netwall to passt, and back.
 *
 * What must hold: passt gets whole frames in order, each of which the guest has sent and none of which is for the host
 * itself; the guest gets what passt sends, byte for byte.
 */
#include "relay.h"

#include "harness/check.h"
#include "harness/input.h"
#include "harness/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Descriptors that no process has. */
#define QEMU 6000
#define PASST 6001
#define CHANGES 6002

#define MOST_BYTES 65536

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static struct {
	struct input up;
	struct input down;
	const uint8_t *down_start;
	size_t delivered;
	uint32_t schedule;
	bool idle;
	bool closed;
	uint8_t passed[MOST_BYTES];
	size_t passed_size;
} host;

static bool sometimes(void)
{
	return !host.idle && input_random(&host.schedule) % 4 == 0;
}

static size_t piece(size_t wanted)
{
	static const size_t sizes[] = {1, 3, 60, 1514, 4096, 65536, 65536, 65536};
	size_t size = sizes[input_random(&host.schedule) % 8];

	return size < wanted ? size : wanted;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	struct input *from = fd == QEMU ? &host.up : &host.down;

	check((flags & MSG_DONTWAIT) != 0 && (fd == QEMU || fd == PASST), "a read does not wait");
	if (from->left == 0 && host.closed)
		return 0;
	if (from->left == 0 || sometimes()) {
		errno = EAGAIN;
		return -1;
	}
	size = piece(size < from->left ? size : from->left);
	memcpy(to, from->at, size);
	from->at += size;
	from->left -= size;
	return (ssize_t)size;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
	check((flags & (MSG_DONTWAIT | MSG_NOSIGNAL)) == (MSG_DONTWAIT | MSG_NOSIGNAL), "a write does not wait");
	if (sometimes()) {
		errno = EAGAIN;
		return -1;
	}
	size = piece(size);
	if (fd == PASST) {
		check(size <= sizeof(host.passed) - host.passed_size, "no more passes than the guest has sent");
		memcpy(host.passed + host.passed_size, data, size);
		host.passed_size += size;
	} else {
		check(memcmp(data, host.down_start + host.delivered, size) == 0, "the guest gets what passt sends");
		host.delivered += size;
	}
	return (ssize_t)size;
}

int __wrap_poll(struct pollfd *set, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *set, nfds_t count, int timeout)
{
	int ready = 0;

	(void)timeout;
	for (nfds_t i = 0; i < count; i++) {
		size_t left = set[i].fd == QEMU ? host.up.left : set[i].fd == PASST ? host.down.left : 0;

		set[i].revents = 0;
		if (set[i].fd != QEMU && set[i].fd != PASST)
			continue;
		if (sometimes())
			continue;
		if (left > 0)
			set[i].revents |= set[i].events & POLLIN;
		set[i].revents |= set[i].events & POLLOUT;
		if (set[i].fd == QEMU && host.closed)
			set[i].revents |= POLLHUP;
		ready += set[i].revents != 0;
	}
	if (ready == 0 && host.idle)
		host.closed = true;
	host.idle = ready == 0;
	return ready;
}

void __wrap_log_line(const char *text);
void __wrap_log_line(const char *text)
{
	(void)text;
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Looked at in another way than filter.c does: an IPv4 packet with this destination must not come through. */
static bool is_for_host(const uint8_t *frame, size_t size)
{
	uint32_t to;

	if (size < 34 || frame[12] != 8 || frame[13] != 0)
		return false;
	to = get32(frame + 30);
	return to >> 24 == 127 || to >> 24 == 0 || to >> 16 == 0xa9fe || to >> 28 == 14 || to == 0xc0a80105;
}

static bool is_for_host6(const uint8_t *frame, size_t size)
{
	/* Discovery goes to everybody, and passt answers it. */
	if (size < 54 || frame[12] != 0x86 || frame[13] != 0xdd || frame[20] == 58)
		return false;
	return frame[38] == 0xff || (frame[38] == 0xfe && (frame[39] & 0xc0) == 0x80) ||
	       memcmp(frame + 38, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0;
}

/* Whether these bytes, length included, are in the stream at or behind *at. */
static bool find(const uint8_t *stream, size_t size, size_t *at, const uint8_t *frame, size_t bytes)
{
	while (size - *at >= 4) {
		size_t length = 4 + (size_t)get32(stream + *at);

		if (length > size - *at)
			return false;
		*at += length;
		if (length == bytes && memcmp(stream + *at - length, frame, bytes) == 0)
			return true;
	}
	return false;
}

static void check_passed(const uint8_t *sent, size_t size)
{
	size_t from = 0;

	for (size_t at = 0; at < host.passed_size;) {
		size_t length;

		if (host.passed_size - at < 4)
			return;
		length = get32(host.passed + at);
		/* The last may be on its way when QEMU ends. */
		if (length > host.passed_size - at - 4)
			return;
		check(find(sent, size, &from, host.passed + at, 4 + length), "a frame that passes was sent");
		check(!is_for_host(host.passed + at + 4, length) && !is_for_host6(host.passed + at + 4, length),
		      "no frame for the host passes");
		at += 4 + length;
	}
}

/* A frame with an address of each kind, in front of the stream or behind it. */
static size_t make_frame(uint8_t *to, uint32_t *random)
{
	static const uint32_t addresses[] = {0x08080808, 0x7f000001, 0xa9fea9fe, 0xc0a80101, 0xc0a80102, 0xc0a80105,
					     0xffffffff, 0xe0000001, 0,          0x64646464, 0xa83f8110};
	uint32_t kind = input_random(random) % 8;
	size_t size = 14 + (kind == 0  ? 28
			    : kind < 5 ? 20 + input_random(random) % 40
				       : 40 + input_random(random) % 40);

	memset(to, 0, 4 + size);
	to[3] = (uint8_t)size;
	to += 4;
	to[12] = kind < 5 ? 0x08 : 0x86;
	to[13] = kind == 0 ? 0x06 : kind < 5 ? 0x00 : 0xdd;
	to[14] = kind < 5 ? 0x45 : 0x60;
	if (kind > 0 && kind < 5) {
		uint32_t address = htonl(addresses[input_random(random) % (sizeof(addresses) / sizeof(*addresses))]);

		to[23] = input_random(random) % 2 == 0 ? IPPROTO_TCP : IPPROTO_UDP;
		memcpy(to + 30, &address, sizeof(address));
		if (size > 14 + 24)
			to[14 + 23] = input_random(random) % 2 == 0 ? 53 : 67;
	} else if (kind >= 5) {
		to[20] = input_random(random) % 2 == 0 ? IPPROTO_ICMPV6 : IPPROTO_UDP;
		to[38] = input_random(random) % 2 == 0 ? 0x20 : 0xfe;
		to[54] = 133;
	}
	return 4 + size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	uint8_t frame[256];
	uint32_t random = seed * 2654435761U | 1;
	size_t bytes;
	size_t at = 4;

	if (size < 4 || input_random(&random) % 2 == 0)
		return LLVMFuzzerMutate(data, size, most);
	bytes = make_frame(frame, &random);
	if (input_random(&random) % 2 == 0) {
		(void)LLVMFuzzerMutate(frame + 4, bytes - 4, bytes - 4);
	}
	if (size + bytes > most)
		return size;
	/* Behind one of the frames. */
	for (uint32_t skip = input_random(&random) % 4; skip > 0 && size - at >= 4; skip--) {
		size_t length = 4 + (size_t)get32(data + at);

		if (length > size - at)
			break;
		at += length;
	}
	memmove(data + at + bytes, data + at, size - at);
	memcpy(data + at, frame, bytes);
	return size + bytes;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	state_keep();
	return 0;
}

/* An input: two bytes of schedule, two of how much of the rest comes from passt, the guest's stream, passt's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct filter filter;
	struct prefix *own = &filter.addresses.prefixes[0];
	size_t down;

	if (size < 4 || size > MOST_BYTES)
		return -1;
	state_reset();
	filter.router.s_addr = htonl(0xc0a80101);
	filter.resolver.s_addr = htonl(0xc0a80102);
	filter.addresses.changes = CHANGES;
	filter.addresses.count = 1;
	*own = (struct prefix){.family = AF_INET, .bits = 32, .address = {192, 168, 1, 5}};
	down = ((size_t)data[2] << 8 | data[3]) % (size - 3);
	host.up = (struct input){data + 4, size - 4 - down};
	host.down = (struct input){data + size - down, down};
	host.down_start = host.down.at;
	host.delivered = 0;
	host.schedule = (uint32_t)data[0] << 8 | data[1] | 0x10000;
	host.idle = false;
	host.closed = false;
	host.passed_size = 0;
	(void)relay(&filter, QEMU, PASST);
	check_passed(data + 4, size - 4 - down);
	return 0;
}
