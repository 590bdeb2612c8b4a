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

/* The EXIT of the application was sent. */
static bool over;

static uint64_t latest(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_finished(int slot)
{
	return slot_at(slot)->state == PROCESS_ENDED && streams_finished(slot);
}

/* When to give up on output that outlives a process. A slow host does not count as silence. */
static uint64_t output_deadline(int slot)
{
	const struct process *process = slot_at(slot);

	if (process->timed_out)
		return process->killed_at + DEATH_US;
	if (streams_pending(slot))
		return UINT64_MAX;
	if (process->killed_at != 0)
		return process->killed_at + DEATH_US;
	return latest(streams_last_activity(slot), process->ended_at) + SILENCE_US;
}

/* When the process is due for step(). */
static uint64_t deadline_of(int slot)
{
	const struct process *process = slot_at(slot);
	uint64_t output;

	if (process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING)
		return process->reaped ? UINT64_MAX : process->expires_at;
	if (process->state != PROCESS_ENDED || process->abandoned || is_finished(slot))
		return UINT64_MAX;
	output = output_deadline(slot);
	return output < process->expires_at ? output : process->expires_at;
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

/* The whole process group dies, also where its leader has ended before. */
static void time_out(struct process *process)
{
	log_debug("process %u has had its %u ms, and is killed", process->number, process->time_limit);
	process->expires_at = UINT64_MAX;
	process->timed_out = true;
	process->killed_at = clock_now();
	/* ESRCH: it has no group yet, or none any more. */
	if (!process->gone && kill(-process->pid, SIGKILL) < 0 && !process->reaped && kill(process->pid, SIGKILL) < 0)
		log_line("kill(%d): %s", (int)process->pid, strerror(errno));
}

/* Nothing keeps the output of an ended process open for ever. */
static void end_output(int slot)
{
	struct process *process = slot_at(slot);
	bool may_kill = process->application && platform() != PLATFORM_SESSION;

	if (may_kill && process->killed_at == 0) {
		log_line("processes that outlive the application keep its output open in silence; killing them");
		process->killed_at = clock_now();
		processes_kill();
		return;
	}
	if (may_kill)
		log_line("processes that outlive the application do not die; giving up their output");
	process->abandoned = true;
	streams_abandon(slot);
}

static void step(int slot, uint64_t now)
{
	struct process *process = slot_at(slot);

	if (process->state == PROCESS_RUNNING && process->reaped) {
		process->state = PROCESS_ENDED;
		process->ended_at = clock_now();
		log_debug("process %u ended with wait status 0x%x", process->number, (unsigned)process->wait_status);
		stdin_discard(slot);
	}
	if (process->state == PROCESS_ENDED && !process->gone && kill(-process->pid, 0) < 0)
		process->gone = true;
	if (deadline_of(slot) <= now) {
		if (process->expires_at <= now)
			time_out(process);
		else
			end_output(slot);
	}
	if (!process->application && is_finished(slot) && sender_has_room()) {
		queue_exit(process, between(process->ended_at, clock_now()), 0);
		slot_release(slot);
	}
}

void exits_step(uint64_t now)
{
	for (int slot = 0; slot < slots_used(); slot++) {
		if (slot_at(slot)->state != PROCESS_NONE)
			step(slot, now);
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

bool application_finished(void)
{
	int slot = slot_of_application();

	return over || (slot != NO_SLOT && is_finished(slot));
}

void application_send_exit(uint64_t drained)
{
	const struct process *process = slot_at(slot_of_application());

	queue_exit(process, between(process->ended_at, drained), between(drained, clock_now()));
	over = true;
	/* No stdin is acknowledged behind it, and nothing falls due. */
	for (int slot = 0; slot < slots_used(); slot++) {
		if (slot_at(slot)->state == PROCESS_RUNNING || slot_at(slot)->state == PROCESS_ENDED)
			slot_release(slot);
	}
}
