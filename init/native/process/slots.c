#include "process/slots.h"

#include "transport/protocol.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/fd.h"

#include <errno.h>
#include <string.h>

static struct process table[VS_MAX_PROCESSES];
static int used;
/* No two processes have the same number. */
static uint32_t last_number;

int slots_used(void)
{
	return used;
}

struct process *slot_at(int slot)
{
	return &table[slot];
}

int slot_of(uint32_t number)
{
	for (int slot = 0; slot < used; slot++) {
		if (table[slot].state != PROCESS_NONE && table[slot].number == number)
			return slot;
	}
	return NO_SLOT;
}

int slot_of_application(void)
{
	for (int slot = 0; slot < used; slot++) {
		if (table[slot].state != PROCESS_NONE && table[slot].application)
			return slot;
	}
	return NO_SLOT;
}

int slot_take(bool application)
{
	int slot = 0;

	while (slot < VS_MAX_PROCESSES && table[slot].state != PROCESS_NONE)
		slot++;
	if (slot == VS_MAX_PROCESSES) {
		errno = EAGAIN;
		return NO_SLOT;
	}
	if (stdin_reserve(slot) < 0)
		return NO_SLOT;
	table[slot] = (struct process){
		.state = PROCESS_STARTING,
		.number = ++last_number,
		.application = application,
		.terminal_fd = -1,
		.expires_at = UINT64_MAX,
		.ours = NO_ENDS,
	};
	if (slot >= used)
		used = slot + 1;
	return slot;
}

void slot_release(int slot)
{
	ends_close(&table[slot].ours);
	fd_close(&table[slot].terminal_fd);
	stdin_release(slot);
	streams_release(slot);
	table[slot].state = PROCESS_NONE;
}
