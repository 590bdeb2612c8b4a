#include "process/ends.h"

#include "process/terminal.h"
#include "process/user_namespace.h"
#include "util/fd.h"

#include <errno.h>
#include <unistd.h>

void ends_close(struct ends *ends)
{
	fd_close(&ends->in);
	fd_close(&ends->out);
	fd_close(&ends->err);
}

int ends_open_pipes(struct call *call, const struct child *child, struct ends *ours, struct ends *theirs)
{
	int in[2];
	int out[2];
	int err[2];

	if (fd_pipe(in, 1) < 0)
		return call_fail(call, errno, "pipe(stdin)");
	theirs->in = in[0];
	ours->in = in[1];
	if (fd_pipe(out, 0) < 0)
		return call_fail(call, errno, "pipe(stdout)");
	ours->out = out[0];
	theirs->out = out[1];
	if (fd_pipe(err, 0) < 0)
		return call_fail(call, errno, "pipe(stderr)");
	ours->err = err[0];
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

int ends_open_trace(struct call *call, struct child *child, struct ends *ours)
{
	int ends[2];

	if (fd_pipe(ends, 0) < 0)
		return call_fail(call, errno, "pipe(trace)");
	ours->err = ends[0];
	child->trace = ends[1];
	return 0;
}

int ends_open_terminal(struct call *call, const struct child *child, uint32_t rows, uint32_t columns, int *terminal_fd,
		       struct ends *ours, struct ends *theirs)
{
	const char *step;

	theirs->in =
		terminal_open(terminal_fd, user_namespace_uid(child->uid), (uint16_t)rows, (uint16_t)columns, &step);
	if (theirs->in < 0)
		return call_fail(call, errno, "%s", step);
	/* Separate descriptors let input and output end independently. */
	ours->in = fd_dup(*terminal_fd);
	ours->out = fd_dup(*terminal_fd);
	theirs->out = fd_dup(theirs->in);
	theirs->err = fd_dup(theirs->in);
	if (ours->in < 0 || ours->out < 0 || theirs->out < 0 || theirs->err < 0)
		return call_fail(call, errno, "dup(terminal)");
	return 0;
}
