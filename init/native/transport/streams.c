#include "transport/streams.h"

#include "transport/codec.h"
#include "transport/frame.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* A terminal gives a few KiB for each read. Reads are coalesced up to this before a frame is sent. */
#define COALESCED_BYTES 65536
/* A program that writes less at a time writes lines. */
#define LINES_BYTES 4096

static struct stream {
	/* 0: nothing is attached. */
	uint32_t process;
	int fd;
	bool terminal;
	bool ready;
	/* The last frame had more than lines. */
	bool much;
	/* Its end was seen and has to be sent. */
	bool ending;
	/* Bytes that the host may still be sent. */
	size_t credit;
	uint64_t last_activity;
} streams[VS_MAX_PROCESSES][STREAM_COUNT];

static const uint32_t procs[STREAM_COUNT] = {VS_PROC_STDOUT, VS_PROC_STDERR};

/* Slots from here on were never used. */
static int slots;

/* Of the frame on its way. */
static int frame_slot;
/* The stream to look at first, so that one that never stops does not starve the others. */
static int first_stream;
static bool stopped;

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
	if (!pty)
		frame_allow_moving();
}

/* A program with O_DIRECT on its output writes packets of up to PIPE_BUF. A read of less loses the rest: pipe(2). */
static bool may_send(const struct stream *stream)
{
	return stream->ending ||
	       (stream->fd >= 0 && stream->process != 0 && stream->ready && stream->credit >= PIPE_BUF);
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
	return frame_on_its_way();
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
	size_t room = lesser(FRAME_PAYLOAD_BYTES, stream->credit);
	size_t used = 0;

	do {
		size_t wanted = room - used;

		used += take_result(stream, read(stream->fd, frame_payload() + used, wanted), wanted);
	} while (stream->terminal && stream->ready && used < lesser(COALESCED_BYTES, room));
	return used;
}

/* Moves pages out of the stream's pipe. */
static size_t move(struct stream *stream)
{
	size_t wanted = lesser(FRAME_MOVED_BYTES, stream->credit);

	return take_result(stream, frame_move(stream->fd, wanted), wanted);
}

/* Lines take one read(2). Where there is more it is moved, from the second frame on. */
static size_t fill_from(struct stream *stream)
{
	size_t size = stream->much && !stream->terminal && frame_may_move() ? move(stream) : coalesce_reads(stream);

	stream->much = size >= LINES_BYTES;
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
	frame_start(&header);
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
			size = fill_from(stream);
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

bool streams_send(void)
{
	return frame_send();
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
