#include "sessions.h"

#include "child.h"
#include "log.h"
#include "place.h"
#include "port.h"
#include "processes.h"
#include "serve.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A session whose place cannot be opened; the next would fare no better. */
#define EXIT_NO_PLACE 1

/* The shell loses its terminal, and with it its jobs, when this process ends; whatever wants to outlive it may. */
static void finish(void)
{
}

static _Noreturn void serve_one(const char *path)
{
	int fd;

	if (signals_open() < 0) {
		log_line("signalfd: %s; no shell", strerror(errno));
		_exit(EXIT_NO_PLACE);
	}
	fd = path[0] == '/' ? place_open_console(path) : port_open();
	if (fd < 0)
		_exit(EXIT_NO_PLACE);
	serve(fd, false, UINT64_MAX, time_of(CLOCK_BOOTTIME), finish);
	_exit(0);
}

_Noreturn void sessions_serve(const char *path)
{
	place_prepare_session();
	if (path[0] != '/' && !port_find(path))
		_exit(EXIT_NO_PLACE);
	for (;;) {
		int status;
		/* A process for each, because one serves one host: nothing of a session is left for the next. */
		pid_t pid = fork_following();

		if (pid == 0)
			serve_one(path);
		if (pid < 0) {
			log_line("fork: %s; no shell", strerror(errno));
			_exit(EXIT_NO_PLACE);
		}
		while (waitpid(pid, &status, 0) < 0) {
			if (errno == EINTR)
				continue;
			log_line("waitpid: %s; no shell", strerror(errno));
			_exit(EXIT_NO_PLACE);
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PLACE)
			_exit(EXIT_NO_PLACE);
	}
}
