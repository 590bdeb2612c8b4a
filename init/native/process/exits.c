#include "process/exits.h"

#include "process/processes.h"
#include "process/slots.h"
#include "transport/codec.h"
#include "transport/sender.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/platform.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/*
 * How long processes that outlive the one that the host has started may keep its output open in silence, and how long
 * their death may take.
 */
#define SILENCE_US (1 * MICROSECONDS_PER_SECOND)
#define DEATH_US (2 * MICROSECONDS_PER_SECOND)

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When to give up on output that outlives a process. A slow host does not count as silence. */
static uint64_t output_deadline(int slot)
{
	const struct process *process = slot_at(slot);

	if (sender_blocked() || streams_waiting(slot))
		return UINT64_MAX;
	if (process->killed_at != 0)
		return latest(process->killed_at, process->blocked_at) + DEATH_US;
	return latest(latest(streams_last_activity(slot), process->blocked_at), process->ended_at) + SILENCE_US;
}

static bool is_finished(int slot)
{
	return slot_at(slot)->state == PROCESS_ENDED && streams_finished(slot);
}

/* When the process is due for step(). */
static uint64_t deadline_of(int slot)
{
	const struct process *process = slot_at(slot);

	if (process->state == PROCESS_RUNNING && !process->reaped)
		return process->expires_at;
	return process->state == PROCESS_ENDED && !is_finished(slot) ? output_deadline(slot) : UINT64_MAX;
}

static void queue_exit(const struct process *process, uint32_t drained, uint32_t finished)
{
	struct writer writer;
	uint8_t payload[16];

	writer_start(&writer, payload, sizeof(payload));
	put_u32(&writer, (uint32_t)process->wait_status);
	put_u32(&writer, process->timed_out ? VS_EXIT_TIMED_OUT : 0);
	put_u32(&writer, drained);
	put_u32(&writer, finished);
	sender_queue(VS_PROC_EXIT, VS_TYPE_MESSAGE, VS_STATUS_OK, process->number, payload, writer.used);
}

static uint32_t between(uint64_t from, uint64_t until)
{
	if (from == 0 || until < from)
		return 0;
	return until - from > UINT32_MAX ? UINT32_MAX : (uint32_t)(until - from);
}

/* The whole process group dies. */
static void time_out(struct process *process)
{
	log_debug("process %u has run for %u ms, and is killed", process->number, process->time_limit);
	process->expires_at = UINT64_MAX;
	process->timed_out = true;
	process->killed_at = clock_now();
	/* ESRCH: its group has gone elsewhere. */
	if (kill(-process->pid, SIGKILL) < 0 && kill(process->pid, SIGKILL) < 0)
		log_line("kill(%d): %s", (int)process->pid, strerror(errno));
}

/* Nothing keeps the output of an ended process open for ever. */
static void end_output(int slot)
{
	struct process *process = slot_at(slot);

	if (!process->application || platform() == PLATFORM_SESSION) {
		streams_abandon(slot);
	} else if (process->killed_at == 0) {
		log_line("processes that outlive the application keep its output open in silence; killing them");
		process->killed_at = clock_now();
		processes_kill();
	} else {
		log_line("processes that outlive the application do not die; giving up their output");
		streams_abandon(slot);
	}
}

static void step(int slot)
{
	struct process *process = slot_at(slot);

	if (process->state == PROCESS_RUNNING && process->reaped) {
		process->state = PROCESS_ENDED;
		process->ended_at = clock_now();
		log_debug("process %u ended with wait status 0x%x", process->number, (unsigned)process->wait_status);
		stdin_discard(slot);
	}
	if (sender_blocked() || streams_waiting(slot))
		process->blocked_at = clock_now();
	if (deadline_of(slot) <= clock_now()) {
		if (process->state == PROCESS_RUNNING)
			time_out(process);
		else
			end_output(slot);
	}
	if (!process->application && is_finished(slot) && sender_has_room()) {
		queue_exit(process, between(process->ended_at, clock_now()), 0);
		slot_release(slot);
	}
}

void exits_step(void)
{
	for (int slot = 0; slot < slots_used(); slot++) {
		if (slot_at(slot)->state == PROCESS_RUNNING || slot_at(slot)->state == PROCESS_ENDED)
			step(slot);
	}
}

bool exits_ready(void)
{
	for (int slot = 0; slot < slots_used() && sender_has_room(); slot++) {
		if (!slot_at(slot)->application && is_finished(slot))
			return true;
	}
	return false;
}

uint64_t exits_deadline(void)
{
	uint64_t deadline = UINT64_MAX;

	for (int slot = 0; slot < slots_used(); slot++) {
		uint64_t own = deadline_of(slot);

		if (own < deadline)
			deadline = own;
	}
	return deadline;
}

void exits_send_others(void)
{
	for (int slot = 0; slot < slots_used(); slot++) {
		struct process *process = slot_at(slot);

		if (process->application || process->state == PROCESS_NONE || process->state == PROCESS_STARTING ||
		    !process->reaped)
			continue;
		queue_exit(process, 0, 0);
		slot_release(slot);
	}
}

bool application_finished(void)
{
	int slot = slot_of_application();

	return slot != NO_SLOT && is_finished(slot);
}

void application_send_exit(uint64_t drained)
{
	const struct process *process = slot_at(slot_of_application());

	queue_exit(process, between(process->ended_at, drained), between(drained, clock_now()));
}
