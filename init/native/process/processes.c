#include "process/processes.h"

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/platform.h"
#include "util/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEATH_US (2 * MICROSECONDS_PER_SECOND)

void processes_yield(bool yield)
{
	const struct sched_param parameters = {.sched_priority = 0};

	/* A failure only costs speed. The raw system call, because not every C library has the function. */
	if (syscall(SYS_sched_setscheduler, 0, yield ? SCHED_BATCH : SCHED_OTHER, &parameters) < 0)
		log_debug("sched_setscheduler: %s", strerror(errno));
}

#ifdef VS_TEST
/* A test kills only what this process has started, and what it inherited as the subreaper. */
void processes_kill(void)
{
	char path[64];
	char list[4096];
	ssize_t size;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
	fd_close(&fd);
	if (size < 0)
		return;
	list[size] = '\0';
	for (char *at = list; *at != '\0';) {
		long pid = strtol(at, &at, 10);

		/* A child leads its session, or is an orphan of one. */
		if (pid > 1 && kill((pid_t)-pid, SIGKILL) < 0)
			(void)kill((pid_t)pid, SIGKILL);
		while (*at == ' ')
			at++;
	}
}
#else
void processes_kill(void)
{
	/* Programs that a person left running in a session may go on. */
	if (platform() == PLATFORM_SESSION)
		return;
	/* For process 1, -1 means all others. ESRCH: there are none. */
	if (kill(-1, SIGKILL) < 0 && errno != ESRCH)
		log_line("kill(-1): %s", strerror(errno));
}
#endif

void processes_end(process_ended *ended)
{
	uint64_t deadline = clock_now() + DEATH_US;

	for (;;) {
		struct pollfd wait = {.fd = signals_fd(), .events = POLLIN};

		processes_kill();
		if (reap_children(ended))
			return;
		if (clock_now() >= deadline) {
			log_line("some processes did not die in %d s; going on", DEATH_US / MICROSECONDS_PER_SECOND);
			return;
		}
		(void)poll(&wait, 1, clock_poll_timeout(deadline));
		signals_discard();
	}
}
