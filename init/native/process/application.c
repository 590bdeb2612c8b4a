#include "process/application.h"

#include "process/processes.h"
#include "process/terminal.h"
#include "process/user_namespace.h"
#include "transport/sender.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/platform.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * How long processes that outlive the application may keep its output open in silence, and how long their death may
 * take.
 */
#define SILENCE_US (1 * MICROSECONDS_PER_SECOND)
#define DEATH_US (2 * MICROSECONDS_PER_SECOND)

enum application_state { APPLICATION_NONE, APPLICATION_STARTING, APPLICATION_RUNNING, APPLICATION_ENDED };

static enum application_state state;
/* The call that started it, until the result of execve is known. */
static struct call *starting;
static pid_t application_pid;
static int wait_status;
static bool reaped;
static int report_fd = -1;
/* Our side of the terminal, for its size and its foreground process group. */
static int terminal_fd = -1;
static uint64_t ended_at;
static uint64_t killed_at;
/* When the host was last seen to be slow. */
static uint64_t blocked_at;

/* Our ends of the streams, until the application has started. */
struct ends {
	int in;
	int out;
	int err;
};
static struct ends ours = {-1, -1, -1};

int application_report_fd(void)
{
	return report_fd;
}

static void close_ends(struct ends *ends)
{
	fd_close(&ends->in);
	fd_close(&ends->out);
	fd_close(&ends->err);
}

static int open_pipes(struct call *call, const struct child *child, struct ends *theirs)
{
	int in[2];
	int out[2];
	int err[2];

	if (fd_pipe(in, 1) < 0)
		return call_fail(call, errno, "pipe(stdin)");
	theirs->in = in[0];
	ours.in = in[1];
	if (fd_pipe(out, 0) < 0)
		return call_fail(call, errno, "pipe(stdout)");
	ours.out = out[0];
	theirs->out = out[1];
	if (fd_pipe(err, 0) < 0)
		return call_fail(call, errno, "pipe(stderr)");
	ours.err = err[0];
	theirs->err = err[1];
	/*
	 * A program that opens /dev/stdout or /dev/stderr must own the pipe behind it. If that fails, the others still
	 * work.
	 */
	uid_t uid = user_namespace_uid(child->uid);
	gid_t gid = user_namespace_gid(child->gid);

	(void)!fchown(theirs->in, uid, gid);
	(void)!fchown(theirs->out, uid, gid);
	(void)!fchown(theirs->err, uid, gid);
	return 0;
}

static int open_trace(struct call *call, struct child *child)
{
	int ends[2];

	if (fd_pipe(ends, 0) < 0)
		return call_fail(call, errno, "pipe(trace)");
	ours.err = ends[0];
	child->trace = ends[1];
	return 0;
}

static int open_terminal(struct call *call, const struct child *child, uint32_t rows, uint32_t columns,
			 struct ends *theirs)
{
	const char *step;

	theirs->in =
		terminal_open(&terminal_fd, user_namespace_uid(child->uid), (uint16_t)rows, (uint16_t)columns, &step);
	if (theirs->in < 0)
		return call_fail(call, errno, "%s", step);
	/* Separate descriptors let input and output end independently. */
	ours.in = fd_dup(terminal_fd);
	ours.out = fd_dup(terminal_fd);
	theirs->out = fd_dup(theirs->in);
	theirs->err = fd_dup(theirs->in);
	if (ours.in < 0 || ours.out < 0 || theirs->out < 0 || theirs->err < 0)
		return call_fail(call, errno, "dup(terminal)");
	return 0;
}

bool application_exists(void)
{
	return state != APPLICATION_NONE;
}

int application_start(struct call *call, struct child *child, uint32_t rows, uint32_t columns, bool trace)
{
	struct ends theirs = {-1, -1, -1};
	int error;

	if (child->terminal)
		error = open_terminal(call, child, rows, columns, &theirs);
	else
		error = open_pipes(call, child, &theirs);
	if (error == 0 && trace)
		error = open_trace(call, child);
	if (error == 0) {
		child->in = theirs.in;
		child->out = theirs.out;
		child->err = theirs.err;
		application_pid = child_start(child, &report_fd);
		if (application_pid < 0)
			error = call_fail(call, errno, "fork");
	}
	close_ends(&theirs);
	if (child->trace > 0)
		fd_close(&child->trace);
	if (error != 0) {
		close_ends(&ours);
		fd_close(&terminal_fd);
		return error;
	}
	starting = call;
	reaped = false;
	state = APPLICATION_STARTING;
	return CALL_PENDING;
}

void application_exec_event(void)
{
	char step[CHILD_STEP_BYTES];
	int error = child_report(&report_fd, step);

	if (error == CHILD_UNKNOWN)
		return;
	if (error != 0) {
		state = APPLICATION_NONE;
		close_ends(&ours);
		fd_close(&terminal_fd);
		starting->complete(call_fail(starting, error, "%s", step));
		return;
	}
	state = APPLICATION_RUNNING;
	log_debug("the application runs as process %d", (int)application_pid);
	stdin_attach(ours.in, terminal_fd >= 0);
	streams_attach(ours.out, ours.err);
	ours = (struct ends){-1, -1, -1};
	put_u32(&starting->result, (uint32_t)application_pid);
	starting->complete(0);
}

void application_child_ended(pid_t pid, int status)
{
	if ((state != APPLICATION_STARTING && state != APPLICATION_RUNNING) || pid != application_pid)
		return;
	reaped = true;
	wait_status = status;
}

int application_signal(struct call *call, uint32_t number)
{
	pid_t group = application_pid;

	if (state != APPLICATION_RUNNING || reaped)
		return call_fail(call, ESRCH, "signal(%u)", number);
	/* 0: the terminal's session has ended. */
	if (terminal_fd >= 0 && (ioctl(terminal_fd, TIOCGPGRP, &group) < 0 || group <= 0))
		group = application_pid;
	if (kill(-group, (int)number) < 0)
		return call_fail(call, errno, "kill(-%d, %u)", (int)group, number);
	return 0;
}

int application_resize(struct call *call, uint32_t rows, uint32_t columns)
{
	if (terminal_fd < 0)
		return call_fail(call, ENOTTY, "resize(%u, %u)", rows, columns);
	if (terminal_resize(terminal_fd, (uint16_t)rows, (uint16_t)columns) < 0)
		return call_fail(call, errno, "resize(%u, %u)", rows, columns);
	return 0;
}

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When to give up on output that outlives the application. A slow host does not count as silence. */
static uint64_t output_deadline(void)
{
	if (sender_blocked())
		return UINT64_MAX;
	if (killed_at != 0)
		return latest(killed_at, blocked_at) + DEATH_US;
	return latest(latest(streams_last_activity(), blocked_at), ended_at) + SILENCE_US;
}

void application_step(void)
{
	if (state == APPLICATION_RUNNING && reaped) {
		state = APPLICATION_ENDED;
		ended_at = clock_now();
		log_debug("the application ended with wait status 0x%x", (unsigned)wait_status);
		stdin_discard();
	}
	if (sender_blocked())
		blocked_at = clock_now();
	if (state != APPLICATION_ENDED || streams_finished() || clock_now() < application_deadline())
		return;
	if (platform() == PLATFORM_SESSION) {
		streams_abandon();
	} else if (killed_at == 0) {
		log_line("processes that outlive the application keep its output open in silence; killing them");
		killed_at = clock_now();
		processes_kill();
	} else {
		log_line("processes that outlive the application do not die; giving up their output");
		streams_abandon();
	}
}

uint64_t application_deadline(void)
{
	if (state != APPLICATION_ENDED || streams_finished())
		return UINT64_MAX;
	return output_deadline();
}

bool application_finished(void)
{
	return state == APPLICATION_ENDED && streams_finished();
}

int application_status(void)
{
	return wait_status;
}

uint64_t application_ended_at(void)
{
	return ended_at;
}
