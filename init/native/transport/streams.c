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
	uint32_t proc;
	int fd;
	bool ready;
	/* Its end was seen and has to be sent. */
	bool ending;
} streams[STREAM_COUNT] = {
	{.proc = VS_PROC_STDOUT, .fd = -1},
	{.proc = VS_PROC_STDERR, .fd = -1},
};

/* Header and payload share one buffer, so that a frame is one write(2). */
static uint8_t frame[VS_MAX_PACKET_BYTES];
static size_t frame_sent;
static size_t frame_size;
/*
 * Or the payload is pages that move from the application's pipe to the host without a copy. They wait in a pipe of this
 * process: from any other, somebody else could take what a header has announced.
 */
static int moving[2] = {-1, -1};
static size_t moving_size;
/* The stream to look at first, so that one that never stops does not starve the other. */
static int first_stream;
static uint64_t last_activity;
static bool terminal;

static void open_moving(void)
{
	if (fd_pipe(moving, 0) < 0 || fcntl(moving[0], F_SETPIPE_SZ, MOVING_PIPE_BYTES) < 0) {
		log_debug("pipe for moving output: %s", strerror(errno));
		fd_close(&moving[0]);
		fd_close(&moving[1]);
	}
}

void streams_attach(int out, int err)
{
	streams[0].fd = out;
	streams[1].fd = err;
	terminal = err < 0;
	/* A terminal's pages cannot be moved. */
	if (!terminal && channel_can_splice())
		open_moving();
	last_activity = clock_now();
}

int streams_poll_fd(int index)
{
	return streams[index].ready ? -1 : streams[index].fd;
}

void streams_set_ready(int index)
{
	streams[index].ready = true;
}

bool streams_ready(void)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		if (streams[i].ending || (streams[i].fd >= 0 && streams[i].ready))
			return true;
	}
	return false;
}

bool streams_in_frame(void)
{
	return frame_sent < frame_size || moving_size > 0;
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
	if (!terminal && (size_t)count < wanted)
		stream->ready = false;
	return (size_t)count;
}

/* Copies to the frame what the stream has. */
static size_t coalesce_reads(struct stream *stream)
{
	size_t used = 0;

	do {
		size_t wanted = PAYLOAD_BYTES - used;

		used += take_result(stream, read(stream->fd, frame + VS_HEADER_BYTES + used, wanted), wanted);
	} while (terminal && stream->ready && used < COALESCED_BYTES);
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
	size_t size = take_result(
		stream, splice(stream->fd, NULL, moving[1], NULL, MOVED_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE),
		MOVED_BYTES);

	moving_size = size;
	if (size > 0 && size < COPIED_BYTES)
		copy_moved(VS_HEADER_BYTES);
	return size;
}

static void start_frame(const struct stream *stream, size_t payload)
{
	struct packet_header header = {
		.length = (uint32_t)(VS_HEADER_BYTES + payload),
		.proc = stream->proc,
		.type = VS_TYPE_DATA,
	};

	header_encode(frame, &header);
	frame_sent = 0;
	frame_size = moving_size > 0 ? VS_HEADER_BYTES : header.length;
}

bool streams_fill(void)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		struct stream *stream = &streams[(first_stream + i) % STREAM_COUNT];
		size_t size = 0;

		if (!stream->ending && stream->fd >= 0 && stream->ready)
			size = moving[0] >= 0 && channel_can_splice() ? move(stream) : coalesce_reads(stream);
		if (size > 0) {
			last_activity = clock_now();
		} else if (stream->ending) {
			stream->ending = false;
		} else {
			continue;
		}
		start_frame(stream, size);
		first_stream = (first_stream + i + 1) % STREAM_COUNT;
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
	if (send_copied() && send_moved())
		return true;
	/* A slow host does not make the program silent. */
	last_activity = clock_now();
	return false;
}

bool streams_finished(void)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		if (streams[i].fd >= 0 || streams[i].ending)
			return false;
	}
	return !streams_in_frame();
}

uint64_t streams_last_activity(void)
{
	return last_activity;
}

void streams_abandon(void)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		if (streams[i].fd >= 0)
			end_stream(&streams[i]);
	}
}
