#include "loop.h"

#include "app.h"
#include "calls.h"
#include "channel.h"
#include "initramfs.h"
#include "log.h"
#include "output.h"
#include "processes.h"
#include "run.h"
#include "stdin.h"
#include "streams.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum source { SIGNALS, CHANNEL_IN, CHANNEL_OUT, APP_IN, APP_OUT, APP_ERR, APP_REPORT, RUN_REPORT, RUN_OUT, RUN_IN, SOURCES };

static void watch(struct pollfd *set, enum source source, int fd, short events)
{
	set[source] = (struct pollfd){.fd = fd, .events = events};
}

/* A source that is not wanted now has fd -1, because poll() reports POLLHUP and POLLERR unasked. */
static void prepare(struct pollfd set[SOURCES])
{
	bool blocked = output_blocked();

	watch(set, SIGNALS, signals_fd(), POLLIN);
	watch(set, CHANNEL_IN, channel_alive() ? channel_in() : -1, channel_wants_input() ? POLLIN : 0);
	watch(set, CHANNEL_OUT, blocked ? channel_out() : -1, POLLOUT);
	watch(set, APP_IN, stdin_poll_fd(), POLLOUT);
	watch(set, APP_OUT, blocked ? -1 : streams_poll_fd(0), POLLIN);
	watch(set, APP_ERR, blocked ? -1 : streams_poll_fd(1), POLLIN);
	watch(set, APP_REPORT, app_poll_fd(), POLLIN);
	watch(set, RUN_REPORT, run_report_fd(), POLLIN);
	watch(set, RUN_OUT, run_out_fd(), POLLIN);
	watch(set, RUN_IN, run_in_fd(), POLLOUT);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One turn; waits at most until `deadline` for something to happen. */
static void turn(uint64_t deadline)
{
	struct pollfd set[SOURCES];
	int timeout;

	prepare(set);
	deadline = earliest(deadline, earliest(initramfs_deadline(), earliest(app_deadline(), run_deadline())));
	timeout = deadline == UINT64_MAX ? -1 : poll_timeout(deadline);
	/* What can go on without an event, such as calls that waited for room that the last turn has made. */
	if (calls_ready() || (!output_blocked() && (streams_ready() || !output_empty())))
		timeout = 0;
	if (poll(set, SOURCES, timeout) < 0) {
		if (errno == EINTR)
			return;
		log_line("poll: %s", strerror(errno));
		channel_end("poll failed");
		return;
	}
	if (set[SIGNALS].revents != 0)
		signals_read();
	if (set[CHANNEL_IN].revents != 0) {
		channel_read();
		/* POLLHUP while input has to wait: the host will not come back for it. */
		if ((set[CHANNEL_IN].revents & (POLLHUP | POLLERR)) != 0 && (set[CHANNEL_IN].revents & POLLIN) == 0)
			channel_lost();
	}
	if (set[APP_REPORT].revents != 0)
		app_exec_event();
	if (set[APP_OUT].revents != 0)
		streams_set_ready(0);
	if (set[APP_ERR].revents != 0)
		streams_set_ready(1);
	run_step();
	app_step();
	initramfs_step();
	channel_resume();
	stdin_pump();
	output_send();
}

bool loop_until_end(void)
{
	channel_resume(); /* what came with the handshake */
	output_send();
	while (!channel_ended()) {
		if (app_finished() && output_empty())
			return true;
		turn(UINT64_MAX);
	}
	return false;
}

void loop_until_quit(void)
{
	output_send(); /* EXIT, before anything is waited for */
	/* No limit: with a host that is slow, much of the output still lies in the port's queue, and would be lost with the machine. */
	while (!channel_ended())
		turn(UINT64_MAX);
}

void loop_flush(uint64_t deadline)
{
	output_send_queued();
	while (channel_alive() && !output_empty() && time_now() < deadline) {
		struct pollfd wait = {.fd = channel_out(), .events = POLLOUT};

		if (poll(&wait, 1, poll_timeout(deadline)) < 0 || (wait.revents & (POLLHUP | POLLERR)) != 0)
			return;
		output_send_queued();
	}
}
