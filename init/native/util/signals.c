#include "util/signals.h"

#include "util/log.h"

#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int signal_fd = -1;

int signals_open(void)
{
	sigset_t set;

	/* SIGPIPE is blocked too: the failing write reports EPIPE. */
	if (sigfillset(&set) < 0 || sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return -1;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGIO);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGPWR);
	signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return signal_fd;
}

int signals_fd(void)
{
	return signal_fd;
}

bool signals_read(void)
{
	struct signalfd_siginfo info[8];
	bool stop = false;
	ssize_t count;

	while ((count = read(signal_fd, info, sizeof(info))) > 0) {
		for (size_t i = 0; i < (size_t)count / sizeof(info[0]); i++) {
			if (info[i].ssi_signo == SIGTERM || info[i].ssi_signo == SIGINT ||
			    info[i].ssi_signo == SIGPWR) {
				log_debug("signal %u", info[i].ssi_signo);
				stop = true;
			}
		}
	}
	return stop;
}

void signals_discard(void)
{
	struct signalfd_siginfo info;

	while (read(signal_fd, &info, sizeof(info)) > 0)
		continue;
}
