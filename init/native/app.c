#include "app.h"

#include "child.h"
#include "log.h"
#include "operations.h"
#include "output.h"
#include "place.h"
#include "processes.h"
#include "stdin.h"
#include "streams.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* How long what is left of an ended application may be silent with the output open, and how long its death may take. */
#define SILENCE_US (1 * MICROSECONDS_PER_SECOND)
#define DEATH_US (2 * MICROSECONDS_PER_SECOND)
#define NO_ID UINT32_MAX
#define MAX_TERMINAL_SIZE UINT16_MAX

enum app_state { APP_NONE, APP_STARTING, APP_RUNNING, APP_ENDED };

static enum app_state state;
static pid_t app_pid;
static int wait_status;
static bool reaped;
static int report_fd = -1;
/* The terminal's other end, for its size and its foreground process group. */
static int terminal_fd = -1;
static uint64_t ended_at;
static uint64_t killed_at;
/* When the host was last seen to be slow. */
static uint64_t blocked_at;

/* This side's ends of the streams, until the application has started. */
struct ends {
	int in;
	int out;
	int err;
};
static struct ends ours = {-1, -1, -1};

int app_poll_fd(void)
{
	return report_fd;
}

static void close_ends(struct ends *ends)
{
	close_fd(&ends->in);
	close_fd(&ends->out);
	close_fd(&ends->err);
}

static int open_pipes(struct call *call, const struct child *child, struct ends *theirs)
{
	int in[2];
	int out[2];
	int err[2];

	if (make_pipe(in, 1) < 0)
		return call_fail(call, errno, "pipe(stdin)");
	theirs->in = in[0];
	ours.in = in[1];
	if (make_pipe(out, 0) < 0)
		return call_fail(call, errno, "pipe(stdout)");
	ours.out = out[0];
	theirs->out = out[1];
	if (make_pipe(err, 0) < 0)
		return call_fail(call, errno, "pipe(stderr)");
	ours.err = err[0];
	theirs->err = err[1];
	/* A program that opens /dev/stdout or /dev/stderr needs to own what they lead to; where that fails, the others still work. */
	(void)!fchown(theirs->in, child->uid, child->gid);
	(void)!fchown(theirs->out, child->uid, child->gid);
	(void)!fchown(theirs->err, child->uid, child->gid);
	return 0;
}

static int open_trace(struct call *call, struct child *child)
{
	int ends[2];

	if (make_pipe(ends, 0) < 0)
		return call_fail(call, errno, "pipe(trace)");
	ours.err = ends[0];
	child->trace = ends[1];
	return 0;
}

static int open_terminal(struct call *call, const struct child *child, uint32_t rows, uint32_t columns, struct ends *theirs)
{
	const char *step;

	theirs->in = terminal_open(&terminal_fd, child->uid, (uint16_t)rows, (uint16_t)columns, &step);
	if (theirs->in < 0)
		return call_fail(call, errno, "%s", step);
	/* Descriptors of their own, so that input and output end independently. */
	ours.in = dup_fd(terminal_fd);
	ours.out = dup_fd(terminal_fd);
	theirs->out = dup_fd(theirs->in);
	theirs->err = dup_fd(theirs->in);
	if (ours.in < 0 || ours.out < 0 || theirs->out < 0 || theirs->err < 0)
		return call_fail(call, errno, "dup(terminal)");
	return 0;
}

int op_spawn(struct call *call)
{
	struct reader *from = &call->arguments;
	struct ends theirs = {-1, -1, -1};
	struct child child = {.restricted = true};
	uint32_t flags;
	uint32_t rows;
	uint32_t columns;
	int error;

	child.argv = read_list(from, 0);
	child.environment = read_list(from, 1);
	child.directory = read_path(from);
	child.uid = read_u32(from);
	child.gid = read_u32(from);
	child.groups = read_numbers(from, &child.group_count);
	child.capabilities = read_u64(from);
	flags = read_u32(from);
	rows = read_u32(from);
	columns = read_u32(from);
	error = call_arguments(call);
	if (error != 0)
		return error;
	if (child.argv[0] == NULL)
		return call_fail(call, EINVAL, "spawn: empty argv");
	/* To setresuid() that number means: stay what you are, which is root. */
	if (child.uid == NO_ID || child.gid == NO_ID)
		return call_fail(call, EINVAL, "spawn(%s): uid %u, gid %u", child.argv[0], child.uid, child.gid);
	if ((flags & ~(uint32_t)(VS_SPAWN_PTY | VS_SPAWN_TRACE)) != 0 || flags == VS_SPAWN_TRACE || rows > MAX_TERMINAL_SIZE || columns > MAX_TERMINAL_SIZE)
		return call_fail(call, EINVAL, "spawn(%s): flags %u, rows %u, columns %u", child.argv[0], flags, rows, columns);
	if (state != APP_NONE)
		return call_fail(call, EBUSY, "spawn(%s): there is an application", child.argv[0]);
	if (child.directory[0] == '\0')
		child.directory = "/";

	child.terminal = (flags & VS_SPAWN_PTY) != 0;
	if (child.terminal)
		error = open_terminal(call, &child, rows, columns, &theirs);
	else
		error = open_pipes(call, &child, &theirs);
	if (error == 0 && (flags & VS_SPAWN_TRACE) != 0)
		error = open_trace(call, &child);
	if (error == 0) {
		child.in = theirs.in;
		child.out = theirs.out;
		child.err = theirs.err;
		app_pid = child_start(&child, &report_fd);
		if (app_pid < 0)
			error = call_fail(call, errno, "fork");
	}
	close_ends(&theirs);
	if (child.trace > 0)
		close_fd(&child.trace);
	if (error != 0) {
		close_ends(&ours);
		close_fd(&terminal_fd);
		return error;
	}
	reaped = false;
	state = APP_STARTING;
	return CALL_PENDING;
}

void app_exec_event(void)
{
	char step[CHILD_STEP_BYTES];
	int error = child_report(&report_fd, step);

	if (error == CHILD_UNKNOWN)
		return;
	if (error != 0) {
		state = APP_NONE;
		close_ends(&ours);
		close_fd(&terminal_fd);
		calls_complete(call_fail(calls_pending(), error, "%s", step));
		return;
	}
	state = APP_RUNNING;
	log_debug("the application runs as process %d", (int)app_pid);
	stdin_attach(ours.in, terminal_fd >= 0);
	streams_attach(ours.out, ours.err);
	ours = (struct ends){-1, -1, -1};
	put_u32(&calls_pending()->result, (uint32_t)app_pid);
	calls_complete(0);
}

void app_reaped(pid_t pid, int status)
{
	if ((state != APP_STARTING && state != APP_RUNNING) || pid != app_pid)
		return;
	reaped = true;
	wait_status = status;
}

int op_signal(struct call *call)
{
	uint32_t number = read_u32(&call->arguments);
	int error = call_arguments(call);
	pid_t group = app_pid;

	if (error != 0)
		return error;
	if (number == 0 || number >= NSIG)
		return call_fail(call, EINVAL, "signal(%u)", number);
	if (state != APP_RUNNING || reaped)
		return call_fail(call, ESRCH, "signal(%u)", number);
	/* 0 is a terminal whose session has ended. */
	if (terminal_fd >= 0 && (ioctl(terminal_fd, TIOCGPGRP, &group) < 0 || group <= 0))
		group = app_pid;
	if (kill(-group, (int)number) < 0)
		return call_fail(call, errno, "kill(-%d, %u)", (int)group, number);
	return 0;
}

int op_resize(struct call *call)
{
	uint32_t rows = read_u32(&call->arguments);
	uint32_t columns = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (rows > MAX_TERMINAL_SIZE || columns > MAX_TERMINAL_SIZE)
		return call_fail(call, EINVAL, "resize(%u, %u)", rows, columns);
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

/* The limit on what is left of the output once the application has ended. A host that is slow to take it does not make it silent. */
static uint64_t output_deadline(void)
{
	if (output_blocked())
		return UINT64_MAX;
	if (killed_at != 0)
		return latest(killed_at, blocked_at) + DEATH_US;
	return latest(latest(streams_last_activity(), blocked_at), ended_at) + SILENCE_US;
}

void app_step(void)
{
	if (state == APP_RUNNING && reaped) {
		state = APP_ENDED;
		ended_at = time_now();
		log_debug("the application ended with wait status 0x%x", (unsigned)wait_status);
		stdin_discard();
	}
	if (output_blocked())
		blocked_at = time_now();
	if (state != APP_ENDED || streams_finished() || time_now() < app_deadline())
		return;
	if (place() == PLACE_SESSION) {
		streams_abandon();
	} else if (killed_at == 0) {
		log_line("what the application left running keeps its output open and is silent; killing it");
		killed_at = time_now();
		processes_kill();
	} else {
		log_line("what the application left running does not die; giving up its output");
		streams_abandon();
	}
}

uint64_t app_deadline(void)
{
	if (state != APP_ENDED || streams_finished())
		return UINT64_MAX;
	return output_deadline();
}

bool app_finished(void)
{
	return state == APP_ENDED && streams_finished();
}

int app_status(void)
{
	return wait_status;
}

uint64_t app_ended_at(void)
{
	return ended_at;
}
