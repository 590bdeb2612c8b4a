#include "transport/frame.h"

#include "transport/channel.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * The pipe for moving has a place for each page and no more, because the kernel needs memory at once for a list of all
 * places.
 */
#define MOVING_PIPE_BYTES (256 * 1024)
/* Less than this is cheaper to copy than to move. */
#define COPIED_BYTES 16384

static uint8_t frame[VS_MAX_PACKET_BYTES];
static size_t frame_sent;
static size_t frame_size;
/* Moved pages wait in a pipe of this process: from any other, somebody else could take what a header has announced. */
static int moving[2] = {-1, -1};
static size_t moving_size;

void frame_allow_moving(void)
{
	if (moving[0] >= 0 || !channel_can_splice())
		return;
	if (fd_pipe(moving, 0) < 0 || fcntl(moving[0], F_SETPIPE_SZ, MOVING_PIPE_BYTES) < 0) {
		log_debug("pipe for moving output: %s", strerror(errno));
		fd_close(&moving[0]);
		fd_close(&moving[1]);
	}
}

bool frame_may_move(void)
{
	return moving[0] >= 0 && channel_can_splice();
}

uint8_t *frame_payload(void)
{
	return frame + VS_HEADER_BYTES;
}

/*
 * Copies the pages in the pipe for moving to `at` in the frame. They are still packets where the program has O_DIRECT on
 * its output, and a read takes one packet: pipe(2).
 */
static void copy_moved(size_t at)
{
	while (moving_size > 0) {
		ssize_t count = read(moving[0], frame + at, moving_size);

		if (count <= 0) {
			log_line("read of moved output: %s; powering off", count < 0 ? strerror(errno) : "too short");
			channel_lost();
			moving_size = 0;
			return;
		}
		at += (size_t)count;
		moving_size -= (size_t)count;
	}
}

ssize_t frame_move(int fd, size_t size)
{
	ssize_t count = splice(fd, NULL, moving[1], NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (count <= 0)
		return count;
	moving_size = (size_t)count;
	if (moving_size < COPIED_BYTES)
		copy_moved(VS_HEADER_BYTES);
	return count;
}

void frame_start(const struct packet_header *header)
{
	header_encode(frame, header);
	frame_sent = 0;
	frame_size = moving_size > 0 ? VS_HEADER_BYTES : header->length;
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

bool frame_send(void)
{
	return send_copied() && send_moved();
}

bool frame_on_its_way(void)
{
	return frame_sent < frame_size || moving_size > 0;
}
