#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIPE_BYTES (1024 * 1024)

void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* no write here goes through the page cache, so close() has no error to report */
	*fd = -1;
}

int fd_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int fd_pipe(int ends[2], int parent_end)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	/* A large pipe saves switches between the program and this process; a small one works too. */
	(void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	if (fcntl(ends[parent_end], F_SETFL, O_NONBLOCK) < 0) {
		int error = errno;

		fd_close(&ends[0]);
		fd_close(&ends[1]);
		errno = error;
		return -1;
	}
	return 0;
}

void fd_fill_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR); /* without O_CLOEXEC: every child replaces these three */
	} while (fd >= 0 && fd <= STDERR_FILENO);
	fd_close(&fd);
}
