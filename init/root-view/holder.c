#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Whoever waits for the end of the launcher's pipes must not wait for this process. */
static void let_go_of_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd <= 2; fd++) {
		if (null < 0 || dup2(null, fd) < 0)
			(void)close(fd);
	}
	if (null > 2)
		(void)close(null);
}

void hold_until_end(int process)
{
	sigset_t ends;
	int signals;

	let_go_of_streams();
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	signals = signalfd(-1, &ends, SFD_CLOEXEC);
	struct pollfd fds[] = {{.fd = process, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	/* Without the signals it still ends with the process. */
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		continue;
}
