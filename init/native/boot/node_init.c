#include "boot/node_init.h"

#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * src/image/build/node-runtime.ts puts them there. The loader is named, so that no file has to lie where the program
 * expects it.
 */
#define LOADER "/common/lib/ld.so"
#define LIBRARIES "/common/lib"
#define RUNTIME "/common/node"
#define SCRIPT "/common/init.cjs"

/* Descriptors of the Node init: init/common/guest.ts. */
#define CHANNEL_FD 3
#define PORT_FD 4
#define HIGH_FD 10

static int port_fd = -1;

bool node_init_present(void)
{
	return access(SCRIPT, F_OK) == 0;
}

bool node_init_active(void)
{
	return port_fd >= 0;
}

static int set_blocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static _Noreturn void become(int channel, int port)
{
	const char *const argv[] = {"ld.so", "--library-path", LIBRARIES, RUNTIME, SCRIPT, NULL};
	const char *const environment[] = {"HOME=/", "PATH=/", NULL};
	int high_channel = fcntl(channel, F_DUPFD_CLOEXEC, HIGH_FD);
	int high_port = fcntl(port, F_DUPFD_CLOEXEC, HIGH_FD);
	int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	sigset_t none;

	if (console >= 0) {
		(void)dup2(console, STDOUT_FILENO);
		(void)dup2(console, STDERR_FILENO);
	}
	(void)sigemptyset(&none);
	/* The Node init's threads may wait in a read of the port, so the port blocks. */
	if (high_channel < 0 || high_port < 0 || set_blocking(high_port, true) < 0 ||
	    dup2(high_channel, CHANNEL_FD) < 0 || dup2(high_port, PORT_FD) < 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		_exit(1);
	(void)execve(LOADER, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	log_line("execve(%s): %s", LOADER, strerror(errno));
	_exit(1);
}

int node_init_start(int port)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		log_line("socketpair: %s", strerror(errno));
		return -1;
	}
	pid = fork();
	if (pid < 0)
		log_line("fork: %s", strerror(errno));
	if (pid == 0)
		become(ends[1], port);
	fd_close(&ends[1]);
	if (pid < 0)
		fd_close(&ends[0]);
	else
		port_fd = port;
	return ends[0];
}

int node_init_finish(int channel)
{
	char byte;
	ssize_t count;

	/*
	 * The Node init closes its end once the launcher has closed, or the port has taken all output. What it still
	 * sends is discarded.
	 */
	(void)shutdown(channel, SHUT_WR);
	do {
		struct pollfd wait = {.fd = channel, .events = POLLIN};

		(void)poll(&wait, 1, -1);
		count = read(channel, &byte, 1);
	} while (count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR)));
	(void)set_blocking(port_fd, false);
	return port_fd;
}
