#include "ops/dispatch.h"

#include "ops/operations.h"
#include "transport/channel.h"
#include "transport/sender.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macros.h"

#include <errno.h>
#include <string.h>

/* Holds calls that wait behind a slow one. When it is full, the host waits with its next bytes. */
#define WAITING_BYTES (2 * VS_MAX_PACKET_BYTES)
/* Every result starts with the microseconds that the call took. */
#define RESULT_PREFIX_BYTES 4

/* Runs even behind a failed call. */
#define NEVER_SKIPPED 1
/* Changes the machine; a test build refuses it. */
#define CHANGES_MACHINE 2

static const struct operation {
	uint32_t proc;
	uint32_t flags;
	const char *name;
	operation_function *run;
} operations[] = {
	{VS_PROC_MOUNT, CHANGES_MACHINE, "mount", op_mount},
	{VS_PROC_MKDIR, 0, "mkdir", op_mkdir},
	{VS_PROC_SYMLINK, 0, "symlink", op_symlink},
	{VS_PROC_WRITE_FILE, 0, "write_file", op_write_file},
	{VS_PROC_SWITCH_ROOT, CHANGES_MACHINE, "switch_root", op_switch_root},
	{VS_PROC_LINK_UP, CHANGES_MACHINE, "link_up", op_link_up},
	{VS_PROC_ADDRESS, CHANGES_MACHINE, "address", op_address},
	{VS_PROC_ROUTE, CHANGES_MACHINE, "route", op_route},
	{VS_PROC_HOSTNAME, CHANGES_MACHINE, "hostname", op_hostname},
	{VS_PROC_SET_CLOCK, CHANGES_MACHINE, "set_clock", op_set_clock},
	{VS_PROC_ADD_ENTROPY, CHANGES_MACHINE, "add_entropy", op_add_entropy},
	{VS_PROC_SPAWN, 0, "spawn", op_spawn},
	{VS_PROC_SIGNAL, NEVER_SKIPPED, "signal", op_signal},
	{VS_PROC_RESIZE, NEVER_SKIPPED, "resize", op_resize},
	{VS_PROC_SYNC, NEVER_SKIPPED, "sync", op_sync},
	{VS_PROC_UNMOUNT, CHANGES_MACHINE, "unmount", op_unmount},
	{VS_PROC_POWER_OFF, NEVER_SKIPPED, "power_off", op_power_off},
	{VS_PROC_LOAD_MODULE, CHANGES_MACHINE, "load_module", op_load_module},
	{VS_PROC_RUN, 0, "run", op_run},
	{VS_PROC_READ_FILE, 0, "read_file", op_read_file},
	{VS_PROC_LIST_DIR, 0, "list_dir", op_list_dir},
	{VS_PROC_STAT, 0, "stat", op_stat},
	{VS_PROC_CHOWN, 0, "chown", op_chown},
	{VS_PROC_CHMOD, 0, "chmod", op_chmod},
	{VS_PROC_MKNOD, 0, "mknod", op_mknod},
	{VS_PROC_READ_LINK, 0, "read_link", op_read_link},
	{VS_PROC_SESSIONS, CHANGES_MACHINE, "sessions", op_sessions},
	{VS_PROC_TERMINAL, CHANGES_MACHINE, "terminal", op_terminal},
	{VS_PROC_CLEAR_MEMORY, 0, "clear_memory", op_clear_memory},
	{VS_PROC_USER_NAMESPACE, CHANGES_MACHINE, "user_namespace", op_user_namespace},
	{VS_PROC_MAP_MOUNT, CHANGES_MACHINE, "map_mount", op_map_mount},
	{VS_PROC_KEEP, 0, "keep", op_keep},
};

/* The call that runs now, and how to answer it. */
static struct call current;
static const struct operation *current_operation;
static struct packet_header current_header;
static uint64_t current_start;
static bool pending;
static uint8_t reply[VS_MAX_PACKET_BYTES - VS_HEADER_BYTES];

/* A call without TOLERATE has failed. */
static bool failed;

/* Whole packets, one behind the other. */
static uint8_t waiting[WAITING_BYTES];
static size_t waiting_start;
static size_t waiting_end;
/* There was no room to keep a call, as for a long SPAWN. Its bytes wait in the receiver, which offers it again. */
static bool refused;

static const struct operation *find_operation(uint32_t proc)
{
	for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
		if (operations[i].proc == proc)
			return &operations[i];
	}
	return NULL;
}

static void answer(uint32_t status, const struct writer *payload)
{
	sender_queue(current_header.proc, VS_TYPE_REPLY, status, current_header.serial, payload->start, payload->used);
}

static void answer_done(int error)
{
	uint32_t took = (uint32_t)(clock_now() - current_start);
	struct writer prefix;

	writer_start(&prefix, reply, RESULT_PREFIX_BYTES);
	put_u32(&prefix, took);
	if (error == 0 && current.result.full)
		error = call_fail(&current, E2BIG, "%s: result", current_operation->name);
	if (error == 0) {
		prefix.used += current.result.used;
		log_debug("%s took %u us", current_operation->name, took);
		answer(VS_STATUS_OK, &prefix);
		return;
	}
	writer_start(&prefix, reply, sizeof(reply));
	put_u32(&prefix, took);
	put_u32(&prefix, (uint32_t)error);
	put_str(&prefix, current.detail);
	log_debug("failed after %u us: %s", took, current.detail);
	answer(VS_STATUS_ERROR, &prefix);
	if ((current_header.status & VS_CALL_TOLERATE) == 0)
		failed = true;
}

static void answer_skipped(void)
{
	struct writer payload;

	writer_start(&payload, reply, sizeof(reply));
	put_u32(&payload, 0);
	answer(VS_STATUS_SKIPPED, &payload);
}

static void complete(int error)
{
	pending = false;
	answer_done(error);
}

static void execute(const struct packet_header *header, const uint8_t *payload, size_t size)
{
	int error;

	current_header = *header;
	current_start = clock_now();
	current_operation = find_operation(header->proc);
	current.name = current_operation == NULL ? "" : current_operation->name;
	current.changes_machine = current_operation != NULL && (current_operation->flags & CHANGES_MACHINE) != 0;
	current.complete = complete;
	current.detail[0] = '\0';
	reader_start(&current.arguments, payload, size);
	writer_start(&current.result, reply + RESULT_PREFIX_BYTES, sizeof(reply) - RESULT_PREFIX_BYTES);

	if ((header->status & VS_CALL_RECOVER) != 0)
		failed = false;
	if (failed && (current_operation == NULL || (current_operation->flags & NEVER_SKIPPED) == 0)) {
		answer_skipped();
		return;
	}
	if (current_operation == NULL)
		error = call_fail(&current, ENOSYS, "operation %u", header->proc);
	else if ((header->status & ~(uint32_t)(VS_CALL_TOLERATE | VS_CALL_RECOVER)) != 0)
		error = call_fail(&current, EPROTO, "%s: flags %u", current_operation->name, header->status);
	else
		error = current_operation->run(&current);
	if (error == CALL_PENDING)
		pending = true;
	else
		answer_done(error);
	/* This answer tells the host how old the time that it sent can be at most; the next calls may take long. */
	if (header->proc == VS_PROC_SET_CLOCK)
		sender_send_queued();
}

static bool can_execute(void)
{
	return !pending && sender_has_room();
}

static bool keep(const struct packet_header *header, const uint8_t *payload, size_t size)
{
	if (header->length > sizeof(waiting) - waiting_end && waiting_start > 0) {
		memmove(waiting, waiting + waiting_start, waiting_end - waiting_start);
		waiting_end -= waiting_start;
		waiting_start = 0;
	}
	if (header->length > sizeof(waiting) - waiting_end)
		return false;
	header_encode(waiting + waiting_end, header);
	if (size > 0)
		memcpy(waiting + waiting_end + VS_HEADER_BYTES, payload, size);
	waiting_end += header->length;
	return true;
}

bool dispatch_accept(const struct packet_header *header, const uint8_t *payload, size_t size)
{
	bool waits = !can_execute() || waiting_end > waiting_start;

	refused = waits && !keep(header, payload, size);
	if (!waits)
		execute(header, payload, size);
	return !refused;
}

bool dispatch_ready(void)
{
	return (refused || waiting_end > waiting_start) && can_execute();
}

void dispatch_resume(void)
{
	while (waiting_end > waiting_start && can_execute() && !channel_ended()) {
		struct packet_header header;
		const uint8_t *packet = waiting + waiting_start;

		header_decode(&header, packet);
		waiting_start += header.length;
		execute(&header, packet + VS_HEADER_BYTES, header.length - VS_HEADER_BYTES);
	}
	if (waiting_start == waiting_end) {
		waiting_start = 0;
		waiting_end = 0;
	}
}
