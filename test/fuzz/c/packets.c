/*
 * The native init's end of the channel: framing, the window of standard input, waiting calls, replies, output. Every call
 * decodes its arguments and is then refused. No system call is made: the host, two processes and the loop's poll(2) are
 * played here, so that reads and writes can be cut anywhere.
 *
 * What must hold: bytes of stdin reach their process whole and in order; its output reaches the host the same way; each
 * call gets at most one reply, in order; the host gets whole packets; no more is acknowledged than was sent.
 */
#include "harness/check.h"
#include "harness/frames.h"
#include "harness/input.h"
#include "harness/listener.h"
#include "harness/state.h"
#include "ops/dispatch.h"
#include "serve/loop.h"
#include "transport/call.h"
#include "transport/channel.h"
#include "transport/receiver.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Descriptors that no process has. */
#define CHANNEL 5000
#define PIPES 5001
#define STDIN_PIPE 0
#define STDOUT_PIPE 1
#define STDERR_PIPE 2
#define PIPES_EACH 3

/* Process n has number n + 1, and is in slot n. */
#define PROCESSES 2

struct process {
	/* The parts of the stream that are its standard input, in order: what it must get. */
	uint8_t stdin_data[65536];
	size_t stdin_size;
	size_t taken;
	size_t echoed;
	bool stdout_closed;
	/* What the host has received of the output, and how much input was acknowledged. */
	size_t output;
	size_t acknowledged;
};

static struct process processes[PROCESSES];

static struct {
	struct input stream;
	uint32_t schedule;
	bool closed;
	bool idle;
	uint64_t now;
	/* Calls that were sent whole, and the next one that gets a reply. */
	uint32_t serials[65536 / VS_HEADER_BYTES];
	size_t calls;
	size_t replies;
} host;

static struct process *of_number(uint32_t number)
{
	return number >= 1 && number <= PROCESSES ? &processes[number - 1] : NULL;
}

/* The process that has a descriptor, if that is its pipe of a kind. */
static struct process *of_pipe(int fd, int kind)
{
	if (fd < PIPES || fd >= PIPES + PROCESSES * PIPES_EACH || (fd - PIPES) % PIPES_EACH != kind)
		return NULL;
	return &processes[(fd - PIPES) / PIPES_EACH];
}

static bool is_played(int fd)
{
	return fd >= CHANNEL && fd < PIPES + PROCESSES * PIPES_EACH;
}

/* What a host that reads its own stream sees: calls, and standard input up to the first packet that is a violation. */
static void model(const uint8_t *data, size_t size)
{
	while (size >= VS_HEADER_BYTES) {
		struct packet_header header;
		size_t payload;

		header_decode(&header, data);
		if (header.length < VS_HEADER_BYTES || header.type > VS_TYPE_REPLY)
			return;
		payload = header.length - VS_HEADER_BYTES;
		if (header.proc == VS_PROC_STDIN && header.type == VS_TYPE_DATA) {
			size_t part = payload < size - VS_HEADER_BYTES ? payload : size - VS_HEADER_BYTES;
			struct process *process = of_number(header.serial);

			if (process != NULL) {
				memcpy(process->stdin_data + process->stdin_size, data + VS_HEADER_BYTES, part);
				process->stdin_size += part;
			}
		} else if (header.type == VS_TYPE_CALL && payload <= size - VS_HEADER_BYTES) {
			host.serials[host.calls++] = header.serial;
		}
		if (payload > size - VS_HEADER_BYTES)
			return;
		data += header.length;
		size -= header.length;
	}
}

static size_t piece(size_t wanted)
{
	static const size_t sizes[] = {1, 3, 20, 64, 4096, 65536, 1048576, 1048576};
	size_t size = sizes[input_random(&host.schedule) % 8];

	return size < wanted ? size : wanted;
}

static bool sometimes(void)
{
	return input_random(&host.schedule) % 4 == 0;
}

static void got_output(struct process *process, const uint8_t *data, size_t size)
{
	check(size <= process->taken - process->output &&
		      memcmp(data, process->stdin_data + process->output, size) == 0,
	      "the output is what the process wrote");
	process->output += size;
}

static void got_packet(const struct packet_header *header, const uint8_t *payload, size_t size)
{
	struct reader reader = {.at = payload, .left = size};
	uint32_t number = read_u32(&reader);
	struct process *process = of_number(header->serial);

	/* A call of operation STDIN gets a reply too. It begins with the time that it took, 0 if it was skipped. */
	if (header->proc == VS_PROC_STDIN && size == 4 && number > 0) {
		check(process != NULL, "only stdin of a process is acknowledged");
		process->acknowledged += number;
		check(process->acknowledged <= process->stdin_size, "no more is acknowledged than was sent");
	} else if (header->type == VS_TYPE_REPLY) {
		check(host.replies < host.calls, "each reply is to a call");
		check(header->serial == host.serials[host.replies++], "replies come in order");
	} else {
		check(header->type == VS_TYPE_DATA, "the rest is output");
		check(process != NULL &&
			      (header->proc == VS_PROC_STDOUT || (header->proc == VS_PROC_STDERR && size == 0)),
		      "a process has written it");
		if (header->proc == VS_PROC_STDOUT)
			got_output(process, payload, size);
	}
}

ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size)
{
	if (fd == CHANNEL) {
		size_t part = piece(size < host.stream.left ? size : host.stream.left);

		if (host.stream.left == 0) {
			errno = EAGAIN;
			return host.closed ? 0 : -1;
		}
		if (!host.idle && sometimes()) {
			errno = sometimes() ? EINTR : EAGAIN;
			return -1;
		}
		memcpy(to, host.stream.at, part);
		host.stream.at += part;
		host.stream.left -= part;
		return (ssize_t)part;
	}
	struct process *process = of_pipe(fd, STDOUT_PIPE);

	if (process != NULL) {
		size_t left = process->taken - process->echoed;
		size_t part = piece(size < left ? size : left);

		if (part == 0) {
			errno = EAGAIN;
			return process->stdout_closed ? 0 : -1;
		}
		memcpy(to, process->stdin_data + process->echoed, part);
		process->echoed += part;
		return (ssize_t)part;
	}
	if (of_pipe(fd, STDERR_PIPE) != NULL)
		return 0;
	return __real_read(fd, to, size);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	size_t part = piece(size);

	if (fd != CHANNEL)
		return __real_write(fd, data, size);
	if (!host.idle && sometimes()) {
		errno = EAGAIN;
		return -1;
	}
	listener_take(data, part);
	return (ssize_t)part;
}

ssize_t __real_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int count)
{
	struct process *process = of_pipe(fd, STDIN_PIPE);
	size_t total = 0;

	if (process == NULL)
		return __real_writev(fd, parts, count);
	if (!host.idle && sometimes()) {
		errno = EAGAIN;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		size_t part = piece(parts[i].iov_len);

		check(part <= process->stdin_size - process->taken &&
			      memcmp(parts[i].iov_base, process->stdin_data + process->taken, part) == 0,
		      "the process gets what the host has sent");
		process->taken += part;
		total += part;
		if (part < parts[i].iov_len)
			break;
	}
	check(total > 0, "nothing empty is written");
	return (ssize_t)total;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	struct process *process = of_pipe(fd, STDIN_PIPE);

	if (!is_played(fd))
		return __real_close(fd);
	/* A process without input ends. */
	if (process != NULL)
		process->stdout_closed = true;
	return 0;
}

int __real_poll(struct pollfd *set, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *set, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *set, nfds_t count, int timeout)
{
	int ready = 0;

	for (nfds_t i = 0; i < count; i++) {
		const struct process *process = of_pipe(set[i].fd, STDOUT_PIPE);
		bool has_data = set[i].fd == CHANNEL ? host.stream.left > 0 || host.closed
				: process != NULL    ? process->taken > process->echoed || process->stdout_closed
						     : of_pipe(set[i].fd, STDERR_PIPE) != NULL;

		set[i].revents = 0;
		if (!is_played(set[i].fd) || (!host.idle && sometimes()))
			continue;
		if ((set[i].events & POLLIN) != 0 && has_data)
			set[i].revents |= POLLIN;
		if ((set[i].events & POLLOUT) != 0)
			set[i].revents |= POLLOUT;
		if (set[i].fd == CHANNEL && host.closed)
			set[i].revents |= POLLHUP;
		ready += set[i].revents != 0;
	}
	if (ready > 0 || timeout == 0) {
		host.idle = false;
		return ready;
	}
	/* Nothing goes on: next time everything that can, does. If that changes nothing, the host goes. */
	if (host.idle)
		host.closed = true;
	host.idle = true;
	if (timeout > 0)
		host.now += (uint64_t)timeout * MICROSECONDS_PER_MILLISECOND;
	return 0;
}

uint64_t __wrap_clock_now(void);
uint64_t __wrap_clock_now(void)
{
	return host.now++;
}

int __wrap_call_arguments(struct call *call);
int __wrap_call_arguments(struct call *call)
{
	int error = reader_finish(&call->arguments);

	return call_fail(call, error != 0 ? error : EPERM, "%s", call->name);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	return frames_mutate(data, size, most, seed);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	state_keep();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < FRAMES_SCHEDULE_BYTES || size > sizeof(processes[0].stdin_data))
		return -1;
	state_reset();
	memset(&host, 0, sizeof(host));
	memset(processes, 0, sizeof(processes));
	host.schedule = (uint32_t)data[0] << 8 | data[1] | 0x10000;
	host.stream = (struct input){data + FRAMES_SCHEDULE_BYTES, size - FRAMES_SCHEDULE_BYTES};
	host.now = 1;
	model(host.stream.at, host.stream.left);
	listener_start(got_packet);
	receiver_start(dispatch_accept);
	channel_open(CHANNEL, CHANNEL, false);
	for (int slot = 0; slot < PROCESSES; slot++) {
		int pipes = PIPES + slot * PIPES_EACH;

		check(stdin_reserve(slot) == 0, "there is memory for standard input");
		stdin_attach(slot, (uint32_t)slot + 1, pipes + STDIN_PIPE, false);
		streams_attach(slot, (uint32_t)slot + 1, pipes + STDOUT_PIPE, pipes + STDERR_PIPE, false);
	}
	(void)loop_until_end();
	loop_flush(host.now + MICROSECONDS_PER_SECOND);
	/* What was mapped for this input. */
	for (int slot = 0; slot < PROCESSES; slot++)
		stdin_release(slot);
	return 0;
}
