#define _GNU_SOURCE
#include "script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

static void take(struct output *output, const unsigned char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at++) {
		if (bytes[at] != '\n') {
			output->line = (output->line ^ bytes[at]) * 1099511628211u;
			continue;
		}
		output->lines++;
		output->digest += output->line;
		output->line = 14695981039346656037u;
	}
}

/* Keeps the last line, which may come in pieces. */
static void take_error(struct output *output, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at++) {
		if (output->is_over)
			output->length = 0;
		output->is_over = bytes[at] == '\n';
		if (!output->is_over && output->length < sizeof(output->error) - 1)
			output->error[output->length++] = bytes[at];
		output->error[output->length] = '\0';
	}
}

int run_script(const char *script, int seconds, struct output *output)
{
	int out[2], err[2];

	*output = (struct output){.line = 14695981039346656037u};
	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
		fail("pipe2");
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		setpgid(0, 0);
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	/* Here too, so that it is done before the group is ended. */
	setpgid(pid, pid);
	close(out[1]);
	close(err[1]);
	struct pollfd fds[] = {{.fd = out[0], .events = POLLIN}, {.fd = err[0], .events = POLLIN}};
	double end = now() + seconds;
	int late = 0;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		double left = end - now();

		if (!late && left <= 0) {
			late = 1;
			kill(-pid, SIGKILL);
		}
		if (poll(fds, 2, late ? -1 : (int)(left * 1000) + 1) < 0 && errno != EINTR)
			fail("poll");
		for (int at = 0; at < 2; at++) {
			static unsigned char bytes[65536];
			ssize_t got;

			if (fds[at].fd < 0 || fds[at].revents == 0)
				continue;
			got = read(fds[at].fd, bytes, sizeof(bytes));
			if (got <= 0) {
				close(fds[at].fd);
				fds[at].fd = -1;
			} else if (at == 0) {
				take(output, bytes, (size_t)got);
			} else {
				take_error(output, (char *)bytes, (size_t)got);
			}
		}
	}
	int status;

	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	if (late)
		return 124;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
