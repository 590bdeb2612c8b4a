/* Operations that start root shells for a person. This program serves them as another process of its own: shells/. */
#include "ops/operations.h"

#include "boot/arguments.h"
#include "process/child.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* This program, from whatever file system it was started. */
#define THIS_PROGRAM "/proc/self/exe"
#define MAX_ARGUMENTS 32
/* Longer than a shell's process waits for a port. */
#define START_MS 15000

static int start(struct call *call, char **argv, char **environment)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct child child = {
		.argv = argv,
		.environment = environment,
		.directory = "/",
		.in = nothing,
		.out = nothing,
		.err = nothing,
		.follows = true,
	};
	char step[CHILD_STEP_BYTES];
	struct pollfd wait = {.events = POLLIN};
	int error;

	if (nothing < 0)
		return call_fail(call, errno, "open(/dev/null)");
	error = child_start(&child, &wait.fd) < 0 ? errno : 0;
	fd_close(&nothing);
	if (error != 0)
		return call_fail(call, error, "fork");
	(void)poll(&wait, 1, START_MS);
	error = child_report(&wait.fd, step);
	if (error == CHILD_UNKNOWN) {
		fd_close(&wait.fd);
		return call_fail(call, ETIMEDOUT, "start of %s", argv[1]);
	}
	return error == 0 ? 0 : call_fail(call, error, "%s", step);
}

int op_sessions(struct call *call)
{
	char *line = read_path(&call->arguments);
	char *argv[] = {NULL, (char[]){THIS_PROGRAM}, (char[]){ARGUMENT_SESSIONS}, line, NULL};
	char *environment[] = {NULL};
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (line[0] == '\0')
		return call_fail(call, EINVAL, "sessions()");
	return start(call, argv + 1, environment);
}

int op_terminal(struct call *call)
{
	char *device = read_path(&call->arguments);
	char **program = read_list(&call->arguments, 0);
	char **environment = read_list(&call->arguments, 1);
	char *argv[MAX_ARGUMENTS] = {NULL, (char[]){THIS_PROGRAM}, (char[]){ARGUMENT_TERMINAL}, device};
	size_t count = 0;
	int error = call_arguments(call);

	if (error != 0)
		return error;
	while (program[count] != NULL)
		count++;
	if (device[0] != '/' || count == 0 || count > MAX_ARGUMENTS - 5)
		return call_fail(call, EINVAL, "terminal(%s): %zu arguments", device, count);
	memcpy(argv + 4, program, count * sizeof(argv[0]));
	return start(call, argv + 1, environment);
}
