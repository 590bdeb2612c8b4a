#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define PIPE_BYTES (1024 * 1024)

uint64_t time_of(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * MICROSECONDS_PER_SECOND + (uint64_t)now.tv_nsec / 1000;
}

uint64_t time_now(void)
{
	return time_of(CLOCK_MONOTONIC);
}

int poll_timeout(uint64_t deadline)
{
	uint64_t now = time_now();
	uint64_t left;

	if (deadline <= now)
		return 0;
	left = (deadline - now + MICROSECONDS_PER_MILLISECOND - 1) / MICROSECONDS_PER_MILLISECOND;
	return left > INT_MAX ? INT_MAX : (int)left;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* nothing here is written through the page cache, so there is no error to lose */
	*fd = -1;
}

int dup_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int make_pipe(int ends[2], int parent_end)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	/* A large pipe lets the program and this process each work for long before the other has to run; a small one works too. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	if (fcntl(ends[parent_end], F_SETFL, O_NONBLOCK) < 0) {
		int error = errno;

		close_fd(&ends[0]);
		close_fd(&ends[1]);
		errno = error;
		return -1;
	}
	return 0;
}

int write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t count = write(fd, at, size);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		if (count == 0) {
			errno = EIO;
			return -1;
		}
		at += count;
		size -= (size_t)count;
	}
	return 0;
}
