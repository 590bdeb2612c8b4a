#include "transport/channel.h"

#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* A port copies each write to a buffer of up to 32 KiB. When memory is too short for that, a page may still be free. */
#define SMALL_WRITE_BYTES 4096
#define MEMORY_WAIT_MS 10

static int in_fd = -1;
static int out_fd = -1;
static bool splicing;
static bool ended;
static bool broken;

void channel_open(int in, int out, bool can_splice)
{
	in_fd = in;
	out_fd = out;
	splicing = can_splice;
}

int channel_in(void)
{
	return in_fd;
}

int channel_out(void)
{
	return out_fd;
}

void channel_end(const char *reason)
{
	if (!ended)
		log_debug("the channel ends: %s", reason);
	ended = true;
}

bool channel_ended(void)
{
	return ended;
}

bool channel_alive(void)
{
	return out_fd >= 0 && !broken;
}

static void break_off(const char *reason)
{
	broken = true;
	channel_end(reason);
}

void channel_lost(void)
{
	break_off("the host is gone");
}

ssize_t channel_write(const void *data, size_t size)
{
	for (;;) {
		ssize_t count = write(out_fd, data, size);

		if (count > 0)
			return count;
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return -1;
		if (count < 0 && errno == ENOMEM) {
			if (size > SMALL_WRITE_BYTES)
				size = SMALL_WRITE_BYTES;
			else
				(void)poll(NULL, 0, MEMORY_WAIT_MS);
			continue;
		}
		break_off(count == 0 ? "the host takes nothing" : strerror(errno));
		errno = EPIPE;
		return -1;
	}
}

bool channel_can_splice(void)
{
	return splicing;
}

ssize_t channel_splice(int pipe_fd, size_t size)
{
	for (;;) {
		ssize_t count = splice(pipe_fd, NULL, out_fd, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (count > 0)
			return count;
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return -1;
		if (count < 0 && errno == EINVAL) {
			splicing = false;
			return -1;
		}
		if (count < 0 && errno == ENOMEM) {
			(void)poll(NULL, 0, MEMORY_WAIT_MS);
			continue;
		}
		/*
		 * 0: the port took pages but has no place for them. They are lost, and output with a hole must not pass
		 * for whole.
		 */
		if (count == 0)
			log_line("the kernel lost output of the application; powering off");
		break_off(count == 0 ? "output lost" : strerror(errno));
		errno = EPIPE;
		return -1;
	}
}
