#include "processes.h"

#include "channel.h"
#include "child.h"
#include "log.h"
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEATH_US (2 * MICROSECONDS_PER_SECOND)

static int signal_fd = -1;

int signals_open(void)
{
	sigset_t set;

	/* SIGPIPE included: an error of a write says what is to be said. */
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

void signals_read(void)
{
	struct signalfd_siginfo info[8];
	ssize_t count;

	while ((count = read(signal_fd, info, sizeof info)) > 0) {
		for (size_t i = 0; i < (size_t)count / sizeof info[0]; i++) {
			if (info[i].ssi_signo == SIGTERM || info[i].ssi_signo == SIGINT || info[i].ssi_signo == SIGPWR) {
				log_debug("signal %u", info[i].ssi_signo);
				channel_end("told to stop");
			}
		}
	}
	/* Signals of the same kind merge, so every turn looks for all that ended. */
	(void)children_reap();
}

void processes_yield(bool yield)
{
	const struct sched_param parameters = {.sched_priority = 0};

	/* Only a matter of speed. The system call itself, because not every C library has a function that makes it. */
	if (syscall(SYS_sched_setscheduler, 0, yield ? SCHED_BATCH : SCHED_OTHER, &parameters) < 0)
		log_debug("sched_setscheduler: %s", strerror(errno));
}

#ifdef VS_TEST
/* Not process 1: only what this process has started, and what it inherited as the subreaper. */
void processes_kill(void)
{
	char path[64];
	char list[4096];
	ssize_t size;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, list, sizeof list - 1);
	close_fd(&fd);
	if (size < 0)
		return;
	list[size] = '\0';
	for (char *at = list; *at != '\0';) {
		long pid = strtol(at, &at, 10);

		/* A child is the leader of its session, or an orphan of one. */
		if (pid > 1 && kill((pid_t)-pid, SIGKILL) < 0)
			(void)kill((pid_t)pid, SIGKILL);
		while (*at == ' ')
			at++;
	}
}
#else
void processes_kill(void)
{
	/* What a person left running in a session may go on. */
	if (place() == PLACE_SESSION)
		return;
	/* To process 1, -1 means everyone but itself. ESRCH: there is nobody. */
	if (kill(-1, SIGKILL) < 0 && errno != ESRCH)
		log_line("kill(-1): %s", strerror(errno));
}
#endif

void processes_end(void)
{
	uint64_t deadline = time_now() + DEATH_US;

	for (;;) {
		struct pollfd wait = {.fd = signal_fd, .events = POLLIN};
		struct signalfd_siginfo info;

		processes_kill();
		if (children_reap())
			return;
		if (time_now() >= deadline) {
			log_line("some processes did not die in %d s; going on", DEATH_US / MICROSECONDS_PER_SECOND);
			return;
		}
		(void)poll(&wait, 1, poll_timeout(deadline));
		while (read(signal_fd, &info, sizeof info) > 0)
			continue;
	}
}
