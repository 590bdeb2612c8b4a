#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAST_STREAM 2

int hold_signals(sigset_t *before)
{
	sigset_t ends;

	if (sigemptyset(&ends) != 0 || sigaddset(&ends, SIGTERM) != 0 || sigprocmask(SIG_BLOCK, &ends, before) != 0)
		return -1;
	return signalfd(-1, &ends, SFD_CLOEXEC);
}

static void close_from_to(int first, int last)
{
	if (first <= last)
		(void)syscall(SYS_close_range, (unsigned int)first, (unsigned int)last, 0);
}

static void let_go(int one, int other)
{
	int low = one < other ? one : other;
	int high = one < other ? other : one;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= LAST_STREAM; fd++) {
		if (null < 0 || dup2(null, fd) < 0)
			(void)close(fd);
	}
	close_from_to(LAST_STREAM + 1, low - 1);
	close_from_to(low + 1, high - 1);
	(void)syscall(SYS_close_range, (unsigned int)high + 1, ~0U, 0);
}

void hold_until_end(int process, int signals)
{
	struct pollfd fds[] = {{.fd = process, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	let_go(process, signals);
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		continue;
}
