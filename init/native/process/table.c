#include "process/table.h"

#include "process/ends.h"
#include "process/exits.h"
#include "process/slots.h"
#include "process/terminal.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The call that starts a process, until the result of execve is known, and its slot. */
static struct call *starting_call;
static int starting = NO_SLOT;
static int report_fd = -1;

int table_report_fd(void)
{
	return report_fd;
}

int process_start(struct call *call, struct child *child, const struct process_options *options)
{
	struct ends theirs = NO_ENDS;
	int error;

	if (application_finished())
		return call_fail(call, ESRCH, "spawn(%s): the application has ended", child->argv[0]);
	if (options->application && slot_of_application() != NO_SLOT)
		return call_fail(call, EBUSY, "spawn(%s): there is an application", child->argv[0]);
	int slot = slot_take(options->application);

	if (slot == NO_SLOT)
		return call_fail(call, errno, "spawn(%s) beside %d processes", child->argv[0], slots_used());
	struct process *process = slot_at(slot);

	process->time_limit = options->time_limit;
	if (process->time_limit > 0)
		process->expires_at = clock_now() + (uint64_t)process->time_limit * MICROSECONDS_PER_MILLISECOND;
	if (child->terminal)
		error = ends_open_terminal(call, child, options->rows, options->columns, &process->terminal_fd,
					   &process->ours, &theirs);
	else
		error = ends_open_pipes(call, child, &process->ours, &theirs);
	if (error == 0 && options->trace)
		error = ends_open_trace(call, child, &process->ours);
	if (error == 0) {
		child->in = theirs.in;
		child->out = theirs.out;
		child->err = theirs.err;
		process->pid = child_start(child, &report_fd);
		if (process->pid < 0)
			error = call_fail(call, errno, "fork");
	}
	ends_close(&theirs);
	if (child->trace > 0)
		fd_close(&child->trace);
	if (error != 0) {
		slot_release(slot);
		return error;
	}
	starting_call = call;
	starting = slot;
	return CALL_PENDING;
}

void table_exec_event(void)
{
	struct process *process = slot_at(starting);
	char step[CHILD_STEP_BYTES];
	int slot = starting;
	int error = child_report(&report_fd, step);

	if (error == CHILD_UNKNOWN)
		return;
	starting = NO_SLOT;
	if (error != 0) {
		slot_release(slot);
		starting_call->complete(call_fail(starting_call, error, "%s", step));
		return;
	}
	process->state = PROCESS_RUNNING;
	log_debug("process %u runs, with process ID %d", process->number, (int)process->pid);
	stdin_attach(slot, process->number, process->ours.in, process->terminal_fd >= 0);
	streams_attach(slot, process->number, process->ours.out, process->ours.err, process->terminal_fd >= 0);
	process->ours = NO_ENDS;
	put_u32(&starting_call->result, process->number);
	put_u32(&starting_call->result, (uint32_t)process->pid);
	starting_call->complete(0);
}

void table_child_ended(pid_t pid, int status)
{
	for (int slot = 0; slot < slots_used(); slot++) {
		struct process *process = slot_at(slot);

		if (process->state == PROCESS_NONE || process->reaped || process->pid != pid)
			continue;
		process->reaped = true;
		process->wait_status = status;
		return;
	}
}

int process_signal(struct call *call, uint32_t number, uint32_t signal)
{
	int slot = slot_of(number);
	const struct process *process = slot == NO_SLOT ? NULL : slot_at(slot);
	pid_t group;

	if (process == NULL || process->gone)
		return call_fail(call, ESRCH, "signal(%u, %u)", number, signal);
	/* Until its EXIT was sent, also where it has ended and others of its group have not. */
	group = process->pid;
	/* 0: the terminal's session has ended. */
	if (process->terminal_fd >= 0 && (ioctl(process->terminal_fd, TIOCGPGRP, &group) < 0 || group <= 0))
		group = process->pid;
	if (kill(-group, (int)signal) < 0)
		return call_fail(call, errno, "kill(-%d, %u)", (int)group, signal);
	return 0;
}

int process_resize(struct call *call, uint32_t number, uint32_t rows, uint32_t columns)
{
	int slot = slot_of(number);
	int terminal;

	if (slot == NO_SLOT)
		return call_fail(call, ESRCH, "resize(%u, %u, %u)", number, rows, columns);
	terminal = slot_at(slot)->terminal_fd;
	if (terminal < 0)
		return call_fail(call, ENOTTY, "resize(%u, %u, %u)", number, rows, columns);
	if (terminal_resize(terminal, (uint16_t)rows, (uint16_t)columns) < 0)
		return call_fail(call, errno, "resize(%u, %u, %u)", number, rows, columns);
	return 0;
}

nfds_t table_watch(struct pollfd *set)
{
	for (int slot = 0; slot < slots_used(); slot++) {
		struct pollfd *own = &set[3 * slot];

		own[0] = (struct pollfd){.fd = stdin_poll_fd(slot), .events = POLLOUT};
		for (int i = 0; i < STREAM_COUNT; i++)
			own[1 + i] = (struct pollfd){.fd = streams_poll_fd(slot, i), .events = POLLIN};
	}
	return 3 * (nfds_t)slots_used();
}

void table_take(const struct pollfd *set)
{
	for (int slot = 0; slot < slots_used(); slot++) {
		for (int i = 0; i < STREAM_COUNT; i++) {
			if (set[3 * slot + 1 + i].revents != 0)
				streams_set_ready(slot, i);
		}
	}
}
