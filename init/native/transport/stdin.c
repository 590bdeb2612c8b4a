#include "transport/stdin.h"

#include "transport/protocol.h"
#include "util/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#define ACKNOWLEDGE_BYTES 32768

static uint8_t ring[VS_STDIN_WINDOW_BYTES];
static size_t head;
static size_t used;
/* Bytes that left the ring and are not acknowledged yet. */
static size_t gone;

static int fd = -1;
static bool terminal;
static bool discarding;
static bool at_end;
static bool in_packet;
/* Whether the terminal's current line has characters. One VEOF would then only end the line. */
static bool line_open;
/* The end of file is being written to a terminal, and this many characters of it are left. */
static bool finishing;
static int end_characters;

size_t stdin_space(uint8_t **at)
{
	size_t tail = (head + used) % sizeof(ring);

	*at = ring + tail;
	if (used == sizeof(ring))
		return 0;
	return tail < head ? head - tail : sizeof(ring) - tail;
}

void stdin_commit(size_t size)
{
	if (discarding)
		gone += size;
	else
		used += size;
}

void stdin_put(const uint8_t *data, size_t size)
{
	while (size > 0) {
		uint8_t *to;
		size_t part = stdin_space(&to);

		if (part > size)
			part = size;
		if (part == 0)
			return; /* the window was checked before, so there is room */
		memcpy(to, data, part);
		stdin_commit(part);
		data += part;
		size -= part;
	}
}

void stdin_end(void)
{
	at_end = true;
}

size_t stdin_outstanding(void)
{
	return used + gone;
}

void stdin_attach(int descriptor, bool pty)
{
	fd = descriptor;
	terminal = pty;
}

void stdin_discard(void)
{
	discarding = true;
	gone += used;
	used = 0;
	head = 0;
	fd_close(&fd);
}

int stdin_poll_fd(void)
{
	return used > 0 || finishing ? fd : -1;
}

/*
 * Ends a terminal's input as a person does: with the terminal's own character for it. False while the terminal has no
 * room.
 */
static bool send_end_of_file(void)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) < 0 || settings.c_cc[VEOF] == _POSIX_VDISABLE)
		return true;
	while (end_characters > 0) {
		ssize_t count = write(fd, &settings.c_cc[VEOF], 1);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return false;
		if (count <= 0)
			return true;
		end_characters--;
	}
	return true;
}

static void finish(void)
{
	if (!finishing)
		end_characters = line_open ? 2 : 1;
	finishing = true;
	if (terminal && !send_end_of_file())
		return;
	finishing = false;
	at_end = false;
	stdin_discard();
}

void stdin_pump(void)
{
	while (used > 0 && fd >= 0) {
		size_t first = sizeof(ring) - head < used ? sizeof(ring) - head : used;
		struct iovec parts[2] = {
			{.iov_base = ring + head, .iov_len = first},
			{.iov_base = ring, .iov_len = used - first},
		};
		ssize_t count = writev(fd, parts, used > first ? 2 : 1);
		size_t last;

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count <= 0) {
			stdin_discard();
			return;
		}
		last = (head + (size_t)count - 1) % sizeof(ring);
		line_open = ring[last] != '\n' && ring[last] != '\r';
		head = (head + (size_t)count) % sizeof(ring);
		used -= (size_t)count;
		gone += (size_t)count;
	}
	if (used == 0)
		head = 0;
	if (used == 0 && at_end && fd >= 0)
		finish();
}

void stdin_set_mid_packet(bool mid_packet)
{
	in_packet = mid_packet;
}

uint32_t stdin_take_acknowledgement(void)
{
	size_t size = gone;

	if (size == 0 || (size < ACKNOWLEDGE_BYTES && (used > 0 || in_packet)))
		return 0;
	gone = 0;
	return (uint32_t)size;
}
