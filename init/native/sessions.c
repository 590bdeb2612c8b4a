#include "sessions.h"

#include "child.h"
#include "exec.h"
#include "log.h"
#include "place.h"
#include "port.h"
#include "processes.h"
#include "protocol.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A session whose line cannot be opened; the next would fare no better. */
#define EXIT_NO_LINE 1

/* Where the line is to be opened for each session. The directory is held, because process 1 moves /dev while it changes its root. */
static int directory = -1;
static const char *name;

/* The shell loses its terminal, and with it its jobs, when this process ends; whatever wants to outlive it may. */
static void finish(void)
{
}

static void find_line(const char *place)
{
	static char path[VS_MAX_PATH_BYTES + 1];
	char *slash;

	if (place[0] != '/' && !port_find(place))
		child_fail(ENODEV, "sessions(%s)", place);
	if ((size_t)snprintf(path, sizeof path, "%s", place[0] == '/' ? place : port_device()) >= sizeof path)
		child_fail(ENAMETOOLONG, "sessions(%s)", place);
	slash = strrchr(path, '/');
	*slash = '\0';
	name = slash + 1;
	directory = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		child_fail(errno, "open(%s)", path);
}

static _Noreturn void serve_one(void)
{
	int fd;

	if (signals_open() < 0) {
		log_line("signalfd: %s; no shell", strerror(errno));
		_exit(EXIT_NO_LINE);
	}
	fd = place_open_line(directory, name);
	if (fd < 0)
		_exit(EXIT_NO_LINE);
	serve(fd, false, UINT64_MAX, time_of(CLOCK_BOOTTIME), finish);
	_exit(0);
}

_Noreturn void sessions_serve(const char *place)
{
	child_take_report();
	place_prepare_session();
	find_line(place);
	child_is_ready();
	for (;;) {
		int status;
		/* A process for each, because one serves one host: nothing of a session is left for the next. */
		pid_t pid = fork_following();

		if (pid == 0)
			serve_one();
		if (pid < 0) {
			log_line("fork: %s; no shell", strerror(errno));
			_exit(EXIT_NO_LINE);
		}
		while (waitpid(pid, &status, 0) < 0) {
			if (errno == EINTR)
				continue;
			log_line("waitpid: %s; no shell", strerror(errno));
			_exit(EXIT_NO_LINE);
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_LINE)
			_exit(EXIT_NO_LINE);
	}
}
