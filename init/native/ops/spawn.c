/* Operations that start and steer programs: processes, and helpers. */
#include "ops/operations.h"

#include "builtins/builtins.h"
#include "process/helper.h"
#include "process/table.h"

#include <errno.h>
#include <signal.h>

#define NO_ID UINT32_MAX
#define MAX_TERMINAL_SIZE UINT16_MAX
#define SPAWN_FLAGS \
	((uint32_t)(VS_SPAWN_PTY | VS_SPAWN_TRACE | VS_SPAWN_NAMESPACES | VS_SPAWN_APPLICATION | VS_SPAWN_BUILTIN))

int op_spawn(struct call *call)
{
	struct reader *from = &call->arguments;
	struct child child = {.restricted = true};
	struct process_options options;
	uint32_t flags;
	int error;

	child.argv = read_list(from, 0);
	child.environment = read_list(from, 1);
	child.directory = read_path(from);
	child.uid = read_u32(from);
	child.gid = read_u32(from);
	child.groups = read_numbers(from, &child.group_count);
	child.capabilities = read_u64(from);
	flags = read_u32(from);
	options.rows = read_u32(from);
	options.columns = read_u32(from);
	options.time_limit = read_u32(from);
	error = call_arguments(call);
	if (error != 0)
		return error;
	if (child.argv[0] == NULL)
		return call_fail(call, EINVAL, "spawn: empty argv");
	/* setresuid() takes this number for "unchanged", which is root. */
	if (child.uid == NO_ID || child.gid == NO_ID)
		return call_fail(call, EINVAL, "spawn(%s): uid %u, gid %u", child.argv[0], child.uid, child.gid);
	if ((flags & ~SPAWN_FLAGS) != 0 || (flags & (VS_SPAWN_PTY | VS_SPAWN_TRACE)) == VS_SPAWN_TRACE ||
	    options.rows > MAX_TERMINAL_SIZE || options.columns > MAX_TERMINAL_SIZE)
		return call_fail(call, EINVAL, "spawn(%s): flags %u, rows %u, columns %u", child.argv[0], flags,
				 options.rows, options.columns);
	child.builtin = (flags & VS_SPAWN_BUILTIN) != 0;
	if (child.builtin && !builtin_exists(child.argv[0]))
		return call_fail(call, ENOSYS, "spawn(%s): no such program of the init", child.argv[0]);
	if (child.directory[0] == '\0')
		child.directory = "/";
	child.terminal = (flags & VS_SPAWN_PTY) != 0;
	child.user_namespaces = (flags & VS_SPAWN_NAMESPACES) != 0;
	options.application = (flags & VS_SPAWN_APPLICATION) != 0;
	options.trace = (flags & VS_SPAWN_TRACE) != 0;
	return process_start(call, &child, &options);
}

int op_signal(struct call *call)
{
	uint32_t process = read_u32(&call->arguments);
	uint32_t number = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (number == 0 || number >= NSIG)
		return call_fail(call, EINVAL, "signal(%u, %u)", process, number);
	return process_signal(call, process, number);
}

int op_resize(struct call *call)
{
	uint32_t process = read_u32(&call->arguments);
	uint32_t rows = read_u32(&call->arguments);
	uint32_t columns = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (rows > MAX_TERMINAL_SIZE || columns > MAX_TERMINAL_SIZE)
		return call_fail(call, EINVAL, "resize(%u, %u, %u)", process, rows, columns);
	return process_resize(call, process, rows, columns);
}

int op_run(struct call *call)
{
	struct reader *from = &call->arguments;
	struct child child = {.directory = "/"};
	struct span text;
	uint32_t timeout;
	int error;

	child.argv = read_list(from, 0);
	child.environment = read_list(from, 1);
	text = read_bytes(from);
	timeout = read_u32(from);
	error = call_arguments(call);
	if (error != 0)
		return error;
	if (child.argv[0] == NULL || timeout == 0 || timeout > VS_MAX_RUN_TIMEOUT_MS)
		return call_fail(call, EINVAL, "run(%s): timeout %u ms", child.argv[0] == NULL ? "" : child.argv[0],
				 timeout);
	return helper_start(call, &child, text, timeout);
}
