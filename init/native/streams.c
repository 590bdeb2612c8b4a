#include "streams.h"

#include "channel.h"
#include "codec.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PAYLOAD_BYTES (VS_MAX_PACKET_BYTES - VS_HEADER_BYTES)
/* A terminal gives a few KiB for each read; reads are gathered up to this before a frame is sent. */
#define GATHER_BYTES 65536

static struct stream {
	uint32_t proc;
	int fd;
	bool ready;
	/* Its end was seen and is to be sent. */
	bool ending;
} streams[STREAM_COUNT] = {
	{.proc = VS_PROC_STDOUT, .fd = -1},
	{.proc = VS_PROC_STDERR, .fd = -1},
};

/* Header and payload in one buffer, so that a frame is one write(2). */
static uint8_t frame[VS_MAX_PACKET_BYTES];
static size_t frame_sent;
static size_t frame_size;
/* The stream that is looked at first, so that one that never stops does not starve the other. */
static int first_stream;
static uint64_t last_activity;

void streams_attach(int out, int err)
{
	streams[0].fd = out;
	streams[1].fd = err;
	last_activity = time_now();
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
	return frame_sent < frame_size;
}

static void end_stream(struct stream *stream)
{
	close_fd(&stream->fd);
	stream->ready = false;
	stream->ending = true;
}

static size_t gather(struct stream *stream)
{
	size_t used = 0;

	do {
		ssize_t count = read(stream->fd, frame + VS_HEADER_BYTES + used, PAYLOAD_BYTES - used);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN) {
			stream->ready = false;
			break;
		}
		/* EIO is how a terminal says that its last process has closed it. */
		if (count < 0 && errno != EIO)
			log_line("read of the application's output: %s", strerror(errno));
		if (count <= 0) {
			end_stream(stream);
			break;
		}
		used += (size_t)count;
	} while (used < GATHER_BYTES);
	return used;
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
	frame_size = header.length;
}

bool streams_fill(void)
{
	for (int i = 0; i < STREAM_COUNT; i++) {
		struct stream *stream = &streams[(first_stream + i) % STREAM_COUNT];
		size_t size = 0;

		if (!stream->ending && stream->fd >= 0 && stream->ready)
			size = gather(stream);
		if (size > 0) {
			last_activity = time_now();
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

bool streams_send(void)
{
	while (frame_sent < frame_size) {
		ssize_t count = channel_write(frame + frame_sent, frame_size - frame_sent);

		if (count < 0) {
			/* A host that is slow does not make the program silent. */
			last_activity = time_now();
			return false;
		}
		frame_sent += (size_t)count;
	}
	return true;
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
