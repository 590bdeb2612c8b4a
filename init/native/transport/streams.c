#include "transport/streams.h"

#include "transport/channel.h"
#include "transport/codec.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PAYLOAD_BYTES (VS_MAX_PACKET_BYTES - VS_HEADER_BYTES)
/* A terminal gives a few KiB for each read. Reads are coalesced up to this before a frame is sent. */
#define COALESCED_BYTES 65536
/* A frame of moved pages has as many whole ones as fit, because a part of a page must be copied. */
#define MOVED_BYTES (PAYLOAD_BYTES / 4096 * 4096)
/*
 * The pipe for moving has a place for each page and no more, because the kernel needs memory at once for a list of all
 * places.
 */
#define MOVING_PIPE_BYTES (256 * 1024)
/* Less than this is cheaper to copy than to move. */
#define COPIED_BYTES 16384

static struct stream {
	/* 0: nothing is attached. */
	uint32_t process;
	int fd;
	bool terminal;
	bool ready;
	/* Its end was seen and has to be sent. */
	bool ending;
	/* Bytes that the host may still be sent. */
	size_t credit;
	uint64_t last_activity;
} streams[VS_MAX_PROCESSES][STREAM_COUNT];

static const uint32_t procs[STREAM_COUNT] = {VS_PROC_STDOUT, VS_PROC_STDERR};

/* Slots from here on were never used. */
static int slots;

/* Header and payload share one buffer, so that a frame is one write(2). */
static uint8_t frame[VS_MAX_PACKET_BYTES];
static size_t frame_sent;
static size_t frame_size;
static int frame_slot;
/*
 * Or the payload is pages that move from a process's pipe to the host without a copy. They wait in a pipe of this
 * process: from any other, somebody else could take what a header has announced.
 */
static int moving[2] = {-1, -1};
static size_t moving_size;
/* The stream to look at first, so that one that never stops does not starve the others. */
static int first_stream;
static bool stopped;

static void open_moving(void)
{
	if (fd_pipe(moving, 0) < 0 || fcntl(moving[0], F_SETPIPE_SZ, MOVING_PIPE_BYTES) < 0) {
		log_debug("pipe for moving output: %s", strerror(errno));
		fd_close(&moving[0]);
		fd_close(&moving[1]);
	}
}

void streams_attach(int slot, uint32_t process, int out, int err, bool pty)
{
	const int fds[STREAM_COUNT] = {out, err};

	for (int i = 0; i < STREAM_COUNT; i++) {
		streams[slot][i] = (struct stream){
			.process = process,
			.fd = fds[i],
			/* Beside a terminal, the other stream is a pipe. */
			.terminal = pty && i == STREAM_OUT,
			.credit = VS_OUTPUT_WINDOW_BYTES,
			.last_activity = clock_now(),
		};
	}
	if (slot >= slots)
		slots = slot + 1;
	/* A terminal's pages cannot be moved. */
	if (!pty && moving[0] < 0 && channel_can_splice())
		open_moving();
}

static bool may_send(const struct stream *stream)
{
	return stream->ending || (stream->fd >= 0 && stream->process != 0 && stream->ready && stream->credit > 0);
}

int streams_poll_fd(int slot, enum stream_index index)
{
	const struct stream *stream = &streams[slot][index];

	return stream->process == 0 || stream->ready ? -1 : stream->fd;
}

void streams_set_ready(int slot, enum stream_index index)
{
	streams[slot][index].ready = true;
}

bool streams_ready(void)
{
	for (int slot = 0; slot < slots && !stopped; slot++) {
		if (may_send(&streams[slot][STREAM_OUT]) || may_send(&streams[slot][STREAM_ERR]))
			return true;
	}
	return false;
}

bool streams_acknowledge(uint32_t process, uint32_t proc, uint32_t size)
{
	for (int slot = 0; slot < slots; slot++) {
		struct stream *stream = &streams[slot][proc == VS_PROC_STDOUT ? STREAM_OUT : STREAM_ERR];

		if (process == 0 || stream->process != process)
			continue;
		if (size > VS_OUTPUT_WINDOW_BYTES - stream->credit)
			return false;
		stream->credit += size;
		return true;
	}
	/* The process may have ended meanwhile. */
	return true;
}

bool streams_in_frame(void)
{
	return frame_sent < frame_size || moving_size > 0;
}

void streams_stop(void)
{
	stopped = true;
}

static void end_stream(struct stream *stream)
{
	fd_close(&stream->fd);
	stream->ready = false;
	stream->ending = true;
}

/* Handles the result of a read or splice. Returns the bytes of data. */
static size_t take_result(struct stream *stream, ssize_t count, size_t wanted)
{
	if (count < 0 && errno == EINTR)
		return 0;
	if (count < 0 && errno == EAGAIN) {
		stream->ready = false;
		return 0;
	}
	/* EIO: the terminal's last process has closed it. */
	if (count < 0 && errno != EIO)
		log_line("read of the application's output: %s", strerror(errno));
	if (count <= 0) {
		end_stream(stream);
		return 0;
	}
	/* A pipe gives all it has. */
	if (!stream->terminal && (size_t)count < wanted)
		stream->ready = false;
	return (size_t)count;
}

static size_t lesser(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Copies to the frame what the stream has. */
static size_t coalesce_reads(struct stream *stream)
{
	size_t room = lesser(PAYLOAD_BYTES, stream->credit);
	size_t used = 0;

	do {
		size_t wanted = room - used;

		used += take_result(stream, read(stream->fd, frame + VS_HEADER_BYTES + used, wanted), wanted);
	} while (stream->terminal && stream->ready && used < lesser(COALESCED_BYTES, room));
	return used;
}

/* Copies the pages in the pipe for moving to `at` in the frame. */
static void copy_moved(size_t at)
{
	ssize_t count = read(moving[0], frame + at, moving_size);

	if (count != (ssize_t)moving_size) {
		log_line("read of moved output: %s; powering off", count < 0 ? strerror(errno) : "too short");
		channel_lost();
	}
	moving_size = 0;
}

/* Moves pages out of the stream's pipe. A few bytes are copied to the frame after all. */
static size_t move(struct stream *stream)
{
	size_t wanted = lesser(MOVED_BYTES, stream->credit);
	size_t size = take_result(
		stream, splice(stream->fd, NULL, moving[1], NULL, wanted, SPLICE_F_NONBLOCK | SPLICE_F_MOVE), wanted);

	moving_size = size;
	if (size > 0 && size < COPIED_BYTES)
		copy_moved(VS_HEADER_BYTES);
	return size;
}

static void start_frame(int slot, enum stream_index index, size_t payload)
{
	struct packet_header header = {
		.length = (uint32_t)(VS_HEADER_BYTES + payload),
		.proc = procs[index],
		.type = VS_TYPE_DATA,
		.serial = streams[slot][index].process,
	};

	streams[slot][index].credit -= payload;
	header_encode(frame, &header);
	frame_sent = 0;
	frame_size = moving_size > 0 ? VS_HEADER_BYTES : header.length;
	frame_slot = slot;
}

bool streams_fill(void)
{
	int count = slots * STREAM_COUNT;

	for (int i = 0; i < count && !stopped; i++) {
		int at = (first_stream + i) % count;
		int slot = at / STREAM_COUNT;
		enum stream_index index = (enum stream_index)(at % STREAM_COUNT);
		struct stream *stream = &streams[slot][index];
		size_t size = 0;

		if (!may_send(stream))
			continue;
		if (!stream->ending)
			size = !stream->terminal && moving[0] >= 0 && channel_can_splice() ? move(stream)
											   : coalesce_reads(stream);
		if (size > 0) {
			stream->last_activity = clock_now();
		} else if (stream->ending) {
			stream->ending = false;
		} else {
			continue;
		}
		start_frame(slot, index, size);
		first_stream = (at + 1) % count;
		return true;
	}
	return false;
}

static bool send_copied(void)
{
	while (frame_sent < frame_size) {
		ssize_t count = channel_write(frame + frame_sent, frame_size - frame_sent);

		if (count < 0)
			return false;
		frame_sent += (size_t)count;
	}
	return true;
}

static bool send_moved(void)
{
	while (moving_size > 0) {
		ssize_t count = channel_splice(moving[0], moving_size);

		if (count < 0 && errno == EINVAL) {
			frame_sent = 0;
			frame_size = moving_size;
			copy_moved(0);
			return send_copied();
		}
		if (count < 0)
			return false;
		moving_size -= (size_t)count;
	}
	return true;
}

bool streams_send(void)
{
	return send_copied() && send_moved();
}

bool streams_finished(int slot)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		if (streams[slot][i].fd >= 0 || streams[slot][i].ending)
			return false;
	}
	return !streams_in_frame() || frame_slot != slot;
}

bool streams_pending(int slot)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		const struct stream *stream = &streams[slot][i];

		if (stream->ending || (stream->fd >= 0 && stream->ready))
			return true;
	}
	return streams_in_frame() && frame_slot == slot;
}

uint64_t streams_last_activity(int slot)
{
	uint64_t out = streams[slot][STREAM_OUT].last_activity;
	uint64_t err = streams[slot][STREAM_ERR].last_activity;

	return out > err ? out : err;
}

void streams_abandon(int slot)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		if (streams[slot][i].fd >= 0)
			end_stream(&streams[slot][i]);
	}
}

void streams_release(int slot)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		if (streams[slot][i].process != 0)
			fd_close(&streams[slot][i].fd);
		streams[slot][i] = (struct stream){.fd = -1};
	}
}
