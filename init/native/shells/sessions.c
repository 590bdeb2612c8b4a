#include "shells/sessions.h"

#include "boot/boot.h"
#include "process/child.h"
#include "serve/serve.h"
#include "transport/line.h"
#include "transport/port.h"
#include "transport/protocol.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The exit status of a session whose line cannot be opened. The next would fail too, so the server ends with it. */
#define EXIT_NO_LINE 1

/*
 * Where each session opens its line. The directory stays open, because process 1 moves /dev when it switches the root.
 */
static int directory = -1;
static const char *name;

/* When this process ends, the shell loses its terminal, and with it its jobs. A program that detaches may live on. */
static void finish(void)
{
}

static void find_line(const char *line)
{
	static char path[VS_MAX_PATH_BYTES + 1];
	char *slash;

	if (line[0] != '/' && !port_find(line))
		child_fail(ENODEV, "sessions(%s)", line);
	if ((size_t)snprintf(path, sizeof(path), "%s", line[0] == '/' ? line : port_device()) >= sizeof(path))
		child_fail(ENAMETOOLONG, "sessions(%s)", line);
	slash = strrchr(path, '/');
	*slash = '\0';
	name = slash + 1;
	directory = open(slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		child_fail(errno, "open(%s)", path);
}

static _Noreturn void serve_one(void)
{
	struct service service = {.deadline = UINT64_MAX, .started = clock_read(CLOCK_BOOTTIME), .finish = finish};

	if (signals_open() < 0) {
		log_line("signalfd: %s; no shell", strerror(errno));
		_exit(EXIT_NO_LINE);
	}
	service.fd = line_open(directory, name);
	if (service.fd < 0)
		_exit(EXIT_NO_LINE);
	serve(&service);
	_exit(0);
}

_Noreturn void sessions_serve(const char *line)
{
	child_take_report();
	boot_prepare_session();
	find_line(line);
	child_is_ready();
	for (;;) {
		int status;
		/* One process serves one host, so that nothing of a session is left for the next. */
		pid_t pid = child_fork_following();

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
