/*
 * freeze PATH: writes out the file system of a directory and holds it still, until stdin ends or a signal asks to end.
 * One that cannot be held still is written out only. A byte on stdout says that it is done: F or S.
 *
 * A file system stays frozen when whoever froze it is killed. When a host disconnects, its processes get SIGHUP, and
 * SIGKILL two seconds later: a slow sandbox sees both at once. So a second process, in a session of its own, freezes
 * the file system, and thaws it when the first one has ended, however that was.
 */
#include "builtins/builtins.h"

#include "shared/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FROZEN "F"
#define SYNCED "S"

static volatile sig_atomic_t is_ended;

static void end(int signal)
{
	(void)signal;
	is_ended = 1;
}

/* These signals are delivered only in ppoll(). */
static void catch_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
	struct sigaction action = {.sa_handler = end};
	sigset_t held;

	if (sigemptyset(&held) < 0)
		builtin_fail(errno, "sigemptyset()");
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaddset(&held, signals[i]) < 0 || sigaction(signals[i], &action, NULL) < 0)
			builtin_fail(errno, "sigaction(%d)", signals[i]);
	}
	if (sigprocmask(SIG_BLOCK, &held, NULL) < 0)
		builtin_fail(errno, "sigprocmask()");
}

/* Whether it stands still now. Written out it is in both cases. */
static bool freeze(int fd, const char *path)
{
	if (ioctl(fd, (int)FIFREEZE, 0) == 0)
		return true;
	if (errno != EOPNOTSUPP && errno != ENOTTY)
		builtin_fail(errno, "ioctl(%s, FIFREEZE)", path);
	if (syncfs(fd) < 0)
		builtin_fail(errno, "syncfs(%s)", path);
	return false;
}

/* Until the other end of the socket is closed. */
static _Noreturn void hold(int fd, const char *path, int socket)
{
	bool is_frozen;
	bool is_told;
	int told_error;
	char ignored;

	is_frozen = freeze(fd, path);
	is_told = write_all(STDOUT_FILENO, is_frozen ? FROZEN : SYNCED, 1) == 0;
	told_error = errno;
	while (is_told && read(socket, &ignored, 1) < 0 && errno == EINTR)
		continue;
	if (is_frozen && ioctl(fd, (int)FITHAW, 0) < 0)
		builtin_fail(errno, "ioctl(%s, FITHAW)", path);
	if (!is_told)
		builtin_fail(told_error, "write(stdout)");
	_exit(0);
}

/* Only SIGKILL ends this process: it would leave the file system frozen. A write to nobody gives EPIPE then. */
static void block_signals(void)
{
	sigset_t all;

	if (sigfillset(&all) < 0 || sigprocmask(SIG_BLOCK, &all, NULL) < 0)
		builtin_fail(errno, "sigprocmask()");
}

/* Starts the process that holds it still, out of the process group to which signals go. */
static pid_t start_holder(int fd, const char *path, int sockets[2])
{
	pid_t holder;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		builtin_fail(errno, "socketpair()");
	holder = fork();
	if (holder < 0)
		builtin_fail(errno, "fork()");
	if (holder == 0) {
		(void)close(sockets[0]);
		if (setsid() < 0)
			builtin_fail(errno, "setsid()");
		block_signals();
		hold(fd, path, sockets[1]);
	}
	(void)close(sockets[1]);
	return holder;
}

/* Until stdin ends, a signal comes, or the holder has ended. */
static void wait_for_end(int socket)
{
	struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = socket, .events = POLLIN}};
	sigset_t none;
	char ignored[64];

	if (sigemptyset(&none) < 0)
		builtin_fail(errno, "sigemptyset()");
	while (!is_ended) {
		if (ppoll(polled, sizeof(polled) / sizeof(polled[0]), NULL, &none) < 0) {
			if (errno == EINTR)
				continue;
			builtin_fail(errno, "ppoll()");
		}
		if (polled[1].revents != 0)
			return;
		if (polled[0].revents != 0 && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
			return;
	}
}

void builtin_freeze(char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int sockets[2];
	int status;
	pid_t holder;

	if (fd < 0)
		builtin_fail(errno, "open(%s)", argv[0]);
	catch_signals();
	holder = start_holder(fd, argv[0], sockets);
	wait_for_end(sockets[0]);
	(void)close(sockets[0]);
	while (waitpid(holder, &status, 0) < 0) {
		if (errno != EINTR)
			builtin_fail(errno, "waitpid()");
	}
	if (!WIFEXITED(status)) {
		/* It may not be frozen. */
		(void)ioctl(fd, (int)FITHAW, 0);
		builtin_fail(EINTR, "the process that holds %s still was killed", argv[0]);
	}
	/* It has said why. */
	if (WEXITSTATUS(status) != 0)
		_exit(BUILTIN_FAILED);
}
