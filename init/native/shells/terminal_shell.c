#include "shells/terminal_shell.h"

#include "boot/boot.h"
#include "process/child.h"
#include "process/terminal.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* The size of a terminal that cannot be asked for it. */
#define ROWS 24
#define COLUMNS 80

/* Opens the line blocking; O_NONBLOCK at first, because a serial line may wait for a carrier that never comes. */
static int open_line(const char *device)
{
	int fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && fcntl(fd, F_SETFL, 0) < 0)
		fd_close(&fd);
	return fd;
}

/* Undoes what a program has changed of the settings. */
static int reset(int fd, struct termios settings)
{
	settings.c_cflag |= CLOCAL;
	(void)cfsetspeed(&settings, B115200);
	if (tcsetattr(fd, TCSANOW, &settings) < 0)
		return -1;
	return terminal_resize(fd, ROWS, COLUMNS);
}

/*
 * Waits for Enter. A shell that starts before anybody is there only holds memory, and loses its first lines. False with
 * errno.
 */
static bool await_enter(int fd)
{
	char byte = '\0';

	while (byte != '\n') {
		ssize_t count = read(fd, &byte, 1);

		if (count == 0)
			errno = EIO;
		if (count == 0 || (count < 0 && errno != EINTR))
			return false;
	}
	return true;
}

static _Noreturn void become_shell(int fd, char **argv, char **environment)
{
	(void)umask(022);
	if (setsid() >= 0 && ioctl(fd, TIOCSCTTY, 0) == 0 && dup2(fd, STDIN_FILENO) >= 0 &&
	    dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0 && chdir("/") == 0)
		(void)execve(argv[0], argv, environment);
	log_line("no shell on the terminal: execve(%s): %s", argv[0], strerror(errno));
	_exit(1);
}

_Noreturn void terminal_shell(const char *device, char **argv, char **environment)
{
	struct termios settings;
	bool known = false;

	child_take_report();
	boot_prepare_session();
	child_is_ready();
	for (;;) {
		/* Opened each time: the kernel hangs up the line when the leader of its session ends. */
		int fd = open_line(device);
		pid_t pid;

		if (fd >= 0 && !known)
			known = tcgetattr(fd, &settings) == 0;
		if (fd < 0 || !known || reset(fd, settings) < 0 || !await_enter(fd) || (pid = fork()) < 0) {
			log_line("no shell on %s: %s", device, strerror(errno));
			_exit(1);
		}
		if (pid == 0)
			become_shell(fd, argv, environment);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		fd_close(&fd);
	}
}
