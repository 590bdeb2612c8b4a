#include "serve/loop.h"

#include "ops/dispatch.h"
#include "ops/initramfs.h"
#include "process/exits.h"
#include "process/helper.h"
#include "process/processes.h"
#include "process/table.h"
#include "transport/channel.h"
#include "transport/receiver.h"
#include "transport/sender.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum source {
	SIGNALS,
	CHANNEL_IN,
	CHANNEL_OUT,
	PROCESS_REPORT,
	HELPER_REPORT,
	HELPER_OUT,
	HELPER_IN,
	/* From here on those of the processes. */
	PROCESSES,
	SOURCES = PROCESSES + TABLE_POLL_FDS
};

void loop_child_ended(pid_t pid, int status)
{
	table_child_ended(pid, status);
	helper_child_ended(pid, status);
}

void loop_take_signals(void)
{
	if (signals_read())
		channel_end("told to stop");
	/* Signals of one kind merge, so look for every child that has ended. */
	(void)reap_children(loop_child_ended);
}

static void watch(struct pollfd *set, enum source source, int fd, short events)
{
	set[source] = (struct pollfd){.fd = fd, .events = events};
}

/*
 * A source that is not wanted now has fd -1, because poll() reports POLLHUP and POLLERR unasked. Returns how many there
 * are.
 */
static nfds_t prepare(struct pollfd set[SOURCES])
{
	bool blocked = sender_blocked();

	watch(set, SIGNALS, signals_fd(), POLLIN);
	watch(set, CHANNEL_IN, channel_alive() ? channel_in() : -1, receiver_wants_input() ? POLLIN : 0);
	watch(set, CHANNEL_OUT, blocked ? channel_out() : -1, POLLOUT);
	watch(set, PROCESS_REPORT, table_report_fd(), POLLIN);
	watch(set, HELPER_REPORT, helper_report_fd(), POLLIN);
	watch(set, HELPER_OUT, helper_out_fd(), POLLIN);
	watch(set, HELPER_IN, helper_in_fd(), POLLOUT);
	return PROCESSES + table_watch(set + PROCESSES);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One turn; waits at most until `deadline` for an event. */
static void turn(uint64_t deadline)
{
	static struct pollfd set[SOURCES];
	nfds_t sources = prepare(set);
	uint64_t begun = clock_now();
	int timeout;

	deadline = earliest(deadline, earliest(initramfs_deadline(), earliest(exits_deadline(), helper_deadline())));
	timeout = deadline == UINT64_MAX ? -1 : clock_poll_timeout(deadline);
	/* Do not wait if something can go on by itself, such as calls that found no room before the last turn. */
	if (dispatch_ready() || exits_ready() || (!sender_blocked() && (streams_ready() || !sender_empty())))
		timeout = 0;
	if (poll(set, sources, timeout) < 0) {
		if (errno == EINTR)
			return;
		log_line("poll: %s", strerror(errno));
		channel_end("poll failed");
		return;
	}
	if (set[SIGNALS].revents != 0)
		loop_take_signals();
	if (set[CHANNEL_IN].revents != 0) {
		receiver_read();
		/* POLLHUP while input has to wait: the host does not come back for that input. */
		if ((set[CHANNEL_IN].revents & (POLLHUP | POLLERR)) != 0 && (set[CHANNEL_IN].revents & POLLIN) == 0)
			channel_lost();
	}
	table_take(set + PROCESSES);
	if (set[PROCESS_REPORT].revents != 0)
		table_exec_event();
	helper_step();
	exits_step(begun);
	initramfs_step();
	dispatch_resume();
	receiver_resume();
	stdin_pump();
	sender_send();
}

bool loop_until_end(void)
{
	receiver_resume(); /* bytes that came with the handshake */
	sender_send();
	while (!channel_ended()) {
		/* What others still write does not count any more. */
		if (application_finished())
			streams_stop();
		if (application_finished() && sender_empty())
			return true;
		turn(UINT64_MAX);
	}
	return false;
}

void loop_until_quit(void)
{
	sender_send(); /* sends EXIT before any wait */
	/*
	 * No deadline: with a slow host, much of the output is still in the port's queue, and would be lost with the
	 * machine.
	 */
	while (!channel_ended())
		turn(UINT64_MAX);
}

void loop_flush(uint64_t deadline)
{
	sender_send_queued();
	while (channel_alive() && !sender_empty() && clock_now() < deadline) {
		struct pollfd wait = {.fd = channel_out(), .events = POLLOUT};

		if (poll(&wait, 1, clock_poll_timeout(deadline)) < 0 || (wait.revents & (POLLHUP | POLLERR)) != 0)
			return;
		sender_send_queued();
	}
}
