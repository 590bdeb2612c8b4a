/*
 * freeze PATH: writes out the file system of a directory and holds it still, until stdin ends or a signal asks to end.
 * One that cannot be held still is written out only. A byte on stdout says that it is done: F or S.
 */
#include "builtins/builtins.h"

#include "shared/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FROZEN "F"
#define SYNCED "S"

static volatile sig_atomic_t is_ended;

static void end(int signal)
{
	(void)signal;
	is_ended = 1;
}

/* Without SA_RESTART a signal ends what waits. Whoever is connected no more sends SIGHUP, and soon SIGKILL. */
static void catch_signals(void)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
	struct sigaction action = {.sa_handler = end};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (sigaction(signals[i], &action, NULL) < 0)
			builtin_fail(errno, "sigaction(%d)", signals[i]);
	}
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

/* A signal that comes just before a wait is seen soon all the same. */
static void wait_for_end(void)
{
	char ignored[64];
	ssize_t size;

	do
		size = read(STDIN_FILENO, ignored, sizeof(ignored));
	while (size > 0 && !is_ended);
}

void builtin_freeze(char **argv)
{
	int fd = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_frozen;
	bool is_told;
	int error;

	if (fd < 0)
		builtin_fail(errno, "open(%s)", argv[0]);
	catch_signals();
	is_frozen = freeze(fd, argv[0]);
	is_told = !is_ended && write_all(STDOUT_FILENO, is_frozen ? FROZEN : SYNCED, 1) == 0;
	if (is_told)
		wait_for_end();
	error = is_frozen && ioctl(fd, (int)FITHAW, 0) < 0 ? errno : 0;
	if (error != 0)
		builtin_fail(error, "ioctl(%s, FITHAW)", argv[0]);
	if (!is_told)
		builtin_fail(EINTR, "write(stdout)");
}
