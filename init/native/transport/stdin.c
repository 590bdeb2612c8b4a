#include "transport/stdin.h"

#include "transport/protocol.h"
#include "util/fd.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

/*
 * Fewer bytes are not worth a packet: the window is larger, so the host never waits for them. A line that is typed, or
 * echoed, costs none.
 */
#define ACKNOWLEDGE_BYTES 32768
#define RING_BYTES ((size_t)VS_STDIN_WINDOW_BYTES)

static struct input {
	/* Pages of it that were never written to take no memory. */
	uint8_t *ring;
	size_t head;
	size_t used;
	/* Bytes that left the ring and are not acknowledged yet. */
	size_t gone;
	/* 0: nothing is attached. */
	uint32_t process;
	int fd;
	bool terminal;
	bool discarding;
	bool at_end;
	/* Whether the terminal's current line has characters. One VEOF would then only end the line. */
	bool line_open;
	/* The end of file is being written to a terminal, and this many characters of it are left. */
	bool finishing;
	int end_characters;
} inputs[VS_MAX_PROCESSES];

/* Slots from here on were never used. */
static int slots;

int stdin_reserve(int slot)
{
	struct input *input = &inputs[slot];
	void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ring == MAP_FAILED)
		return -1;
	/* A process that is forked while a ring has bytes would keep a copy of them. */
	if (madvise(ring, RING_BYTES, MADV_DONTFORK) < 0) {
		int error = errno;

		(void)munmap(ring, RING_BYTES);
		errno = error;
		return -1;
	}
	*input = (struct input){.ring = ring, .fd = -1};
	if (slot >= slots)
		slots = slot + 1;
	return 0;
}

void stdin_attach(int slot, uint32_t process, int fd, bool pty)
{
	struct input *input = &inputs[slot];

	input->process = process;
	input->fd = fd;
	input->terminal = pty;
}

static void discard(struct input *input)
{
	input->discarding = true;
	input->gone += input->used;
	input->used = 0;
	input->head = 0;
	fd_close(&input->fd);
}

void stdin_discard(int slot)
{
	discard(&inputs[slot]);
}

void stdin_release(int slot)
{
	struct input *input = &inputs[slot];

	discard(input);
	if (input->ring != NULL)
		(void)munmap(input->ring, RING_BYTES);
	*input = (struct input){.fd = -1};
}

int stdin_slot(uint32_t process)
{
	for (int slot = 0; slot < slots; slot++) {
		if (process != 0 && inputs[slot].process == process)
			return slot;
	}
	return -1;
}

size_t stdin_space(int slot, uint8_t **at)
{
	struct input *input = &inputs[slot];
	size_t tail = (input->head + input->used) % RING_BYTES;

	*at = input->ring + tail;
	if (input->used == RING_BYTES)
		return 0;
	return tail < input->head ? input->head - tail : RING_BYTES - tail;
}

void stdin_commit(int slot, size_t size)
{
	struct input *input = &inputs[slot];

	if (input->discarding)
		input->gone += size;
	else
		input->used += size;
}

void stdin_put(int slot, const uint8_t *data, size_t size)
{
	while (size > 0) {
		uint8_t *to;
		size_t part = stdin_space(slot, &to);

		if (part > size)
			part = size;
		if (part == 0)
			return; /* the window was checked before, so there is room */
		memcpy(to, data, part);
		stdin_commit(slot, part);
		data += part;
		size -= part;
	}
}

void stdin_end(int slot)
{
	inputs[slot].at_end = true;
}

size_t stdin_outstanding(int slot)
{
	return inputs[slot].used + inputs[slot].gone;
}

int stdin_poll_fd(int slot)
{
	const struct input *input = &inputs[slot];

	return input->process != 0 && (input->used > 0 || input->finishing) ? input->fd : -1;
}

/*
 * Ends a terminal's input as a person does: with the terminal's own character for it. False while the terminal has no
 * room.
 */
static bool send_end_of_file(struct input *input)
{
	struct termios settings;

	if (tcgetattr(input->fd, &settings) < 0 || settings.c_cc[VEOF] == _POSIX_VDISABLE)
		return true;
	while (input->end_characters > 0) {
		ssize_t count = write(input->fd, &settings.c_cc[VEOF], 1);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return false;
		if (count <= 0)
			return true;
		input->end_characters--;
	}
	return true;
}

static void finish(struct input *input)
{
	if (!input->finishing)
		input->end_characters = input->line_open ? 2 : 1;
	input->finishing = true;
	if (input->terminal && !send_end_of_file(input))
		return;
	input->finishing = false;
	input->at_end = false;
	discard(input);
}

static void pump(struct input *input)
{
	while (input->used > 0 && input->fd >= 0) {
		size_t first = RING_BYTES - input->head < input->used ? RING_BYTES - input->head : input->used;
		struct iovec parts[2] = {
			{.iov_base = input->ring + input->head, .iov_len = first},
			{.iov_base = input->ring, .iov_len = input->used - first},
		};
		ssize_t count = writev(input->fd, parts, input->used > first ? 2 : 1);
		size_t last;

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count <= 0) {
			discard(input);
			return;
		}
		last = (input->head + (size_t)count - 1) % RING_BYTES;
		input->line_open = input->ring[last] != '\n' && input->ring[last] != '\r';
		input->head = (input->head + (size_t)count) % RING_BYTES;
		input->used -= (size_t)count;
		input->gone += (size_t)count;
	}
	if (input->used == 0)
		input->head = 0;
	if (input->used == 0 && input->at_end && input->fd >= 0)
		finish(input);
}

void stdin_pump(void)
{
	for (int slot = 0; slot < slots; slot++) {
		if (inputs[slot].fd >= 0 && inputs[slot].process != 0)
			pump(&inputs[slot]);
	}
}

uint32_t stdin_take_acknowledgement(uint32_t *process)
{
	for (int slot = 0; slot < slots; slot++) {
		struct input *input = &inputs[slot];
		size_t size = input->gone;

		if (size == 0 || (size < ACKNOWLEDGE_BYTES && !input->discarding))
			continue;
		input->gone = 0;
		*process = input->process;
		return (uint32_t)size;
	}
	return 0;
}
