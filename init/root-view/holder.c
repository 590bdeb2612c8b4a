#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_STREAM 2

/* How often to look whether the state directory is gone, in milliseconds. */
#define LOOK_MS 500

int hold_signals(sigset_t *before)
{
	sigset_t ends;
	sigset_t blocked;

	if (sigemptyset(&ends) != 0 || sigaddset(&ends, SIGTERM) != 0 || sigaddset(&ends, SIGHUP) != 0 ||
	    sigaddset(&ends, SIGINT) != 0)
		return -1;
	blocked = ends;
	/* The heir may have been killed. */
	if (sigaddset(&blocked, SIGPIPE) != 0 || sigprocmask(SIG_BLOCK, &blocked, before) != 0)
		return -1;
	return signalfd(-1, &ends, SFD_CLOEXEC);
}

static void close_from_to(int first, int last)
{
	if (first <= last)
		(void)syscall(SYS_close_range, (unsigned int)first, (unsigned int)last, 0);
}

/* Keeps the streams, on /dev/null, and these descriptors, which it sorts. One that is -1 counts for nothing. */
static void let_go(int kept[], size_t count)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int next = LAST_STREAM + 1;

	for (int fd = 0; fd <= LAST_STREAM; fd++) {
		if (null < 0 || dup2(null, fd) < 0)
			(void)close(fd);
	}
	for (size_t i = 1; i < count; i++) {
		int fd = kept[i];
		size_t at = i;

		for (; at > 0 && kept[at - 1] > fd; at--)
			kept[at] = kept[at - 1];
		kept[at] = fd;
	}
	for (size_t i = 0; i < count; i++) {
		close_from_to(next, kept[i] - 1);
		if (kept[i] >= next)
			next = kept[i] + 1;
	}
	(void)syscall(SYS_close_range, (unsigned int)next, ~0U, 0);
}

/* True by a signal; false when the process has ended, or `milliseconds` have passed. -1: no limit. */
static bool await_signal(int process, int signals, int milliseconds)
{
	struct pollfd fds[] = {{.fd = process, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	while (poll(fds, 2, milliseconds) < 0 && errno == EINTR)
		continue;
	return fds[0].revents == 0 && fds[1].revents != 0;
}

static bool has_ended(int process)
{
	struct pollfd fd = {.fd = process, .events = POLLIN};

	return process < 0 || poll(&fd, 1, 0) > 0;
}

static bool is_removed(int directory)
{
	struct stat info;

	return directory < 0 || fstat(directory, &info) != 0 || info.st_nlink == 0;
}

/* True by a signal; false when the sandbox has ended. */
static bool await_end(const struct life *life)
{
	if (await_signal(life->supervisor, life->signals, -1))
		return true;
	/* As always, or somebody has killed it: then the launcher lives, and another supervisor removes the directory. */
	while (!has_ended(life->launcher) && !is_removed(life->state)) {
		if (await_signal(life->launcher, life->signals, LOOK_MS))
			return true;
	}
	return false;
}

/* Whether the process whose heir this is has gone without a word. */
static bool inherits(int end)
{
	char byte;
	ssize_t n;

	do
		n = read(end, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 0;
}

struct heir {
	/* 0: there is none. */
	pid_t pid;
	/* It learns by the end of this pipe that it is its turn; -1 without an heir. */
	int end;
};

/* In the heir it does not return. */
static struct heir start_heir(const struct life *life, void (*clean_up)(const char *), const char *what)
{
	static const struct heir none = {.pid = 0, .end = -1};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return none;
	pid_t pid = fork();

	if (pid == 0) {
		int kept[] = {life->supervisor, life->launcher, life->state, life->signals, ends[0]};

		let_go(kept, sizeof(kept) / sizeof(*kept));
		if (inherits(ends[0])) {
			(void)await_end(life);
			clean_up(what);
		}
		_exit(0);
	}
	(void)close(ends[0]);
	if (pid > 0)
		return (struct heir){.pid = pid, .end = ends[1]};
	(void)close(ends[1]);
	return none;
}

/* It may have been killed. */
static bool lives(const struct heir *heir)
{
	return heir->pid > 0 && waitpid(heir->pid, NULL, WNOHANG) == 0;
}

/* Whether a signal is the supervisor's order. Others are an accident. */
static bool is_order(const struct life *life)
{
	struct signalfd_siginfo signal;

	return read(life->signals, &signal, sizeof(signal)) == (ssize_t)sizeof(signal) &&
	       signal.ssi_pid == (uint32_t)life->supervisor_id;
}

void hold(const struct life *life, void (*clean_up)(const char *), const char *what)
{
	struct heir heir = start_heir(life, clean_up, what);
	int kept[] = {life->supervisor, life->launcher, life->state, life->signals, heir.end};

	let_go(kept, sizeof(kept) / sizeof(*kept));
	/* It is the heir's turn. */
	if (await_end(life) && !is_order(life) && lives(&heir))
		return;
	clean_up(what);
	/* There is nothing left to do for it. */
	if (heir.end >= 0)
		(void)!write(heir.end, "", 1);
}
