#include "process/helper.h"

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Limits how much of a helper's output one turn reads. */
#define READS_PER_TURN 16
#define READ_BYTES 16384

/* The call that started it; NULL while no helper runs. */
static struct call *pending;
static bool started;
static bool reaped;
static pid_t helper_pid;
static int wait_status;
static int report_fd = -1;
static int in_fd = -1;
static int out_fd = -1;
static uint64_t deadline;
static char name[256];

static uint8_t input[VS_MAX_PACKET_BYTES];
static size_t input_at;
static size_t input_size;

/* The last bytes of the output, as a ring. */
static uint8_t output[VS_MAX_RUN_OUTPUT_BYTES];
static size_t output_total;

int helper_report_fd(void)
{
	return report_fd;
}

int helper_out_fd(void)
{
	return started ? out_fd : -1;
}

int helper_in_fd(void)
{
	return started ? in_fd : -1;
}

uint64_t helper_deadline(void)
{
	return pending != NULL ? deadline : UINT64_MAX;
}

void helper_child_ended(pid_t pid, int status)
{
	if (pending == NULL || pid != helper_pid)
		return;
	reaped = true;
	wait_status = status;
}

static void finish(int error)
{
	struct call *call = pending;

	pending = NULL;
	fd_close(&report_fd);
	fd_close(&in_fd);
	fd_close(&out_fd);
	call->complete(error);
}

static int open_pipes(struct call *call, int theirs[2])
{
	int in[2];
	int out[2];

	if (fd_pipe(in, 1) < 0)
		return call_fail(call, errno, "pipe(stdin)");
	theirs[0] = in[0];
	in_fd = in[1];
	if (fd_pipe(out, 0) < 0)
		return call_fail(call, errno, "pipe(stdout)");
	out_fd = out[0];
	theirs[1] = out[1];
	return 0;
}

int helper_start(struct call *call, struct child *child, struct span text, uint32_t timeout_ms)
{
	int theirs[2] = {-1, -1};
	int error = open_pipes(call, theirs);

	if (error == 0) {
		child->in = theirs[0];
		child->out = theirs[1];
		child->err = theirs[1];
		helper_pid = child_start(child, &report_fd);
		if (helper_pid < 0)
			error = call_fail(call, errno, "fork");
	}
	fd_close(&theirs[0]);
	fd_close(&theirs[1]);
	if (error != 0) {
		fd_close(&in_fd);
		fd_close(&out_fd);
		return error;
	}
	strncpy(name, child->argv[0], sizeof(name) - 1);
	if (text.size > 0)
		memcpy(input, text.data, text.size);
	input_at = 0;
	input_size = text.size;
	output_total = 0;
	pending = call;
	started = false;
	reaped = false;
	deadline = clock_now() + (uint64_t)timeout_ms * MICROSECONDS_PER_MILLISECOND;
	return CALL_PENDING;
}

static void write_input(void)
{
	while (in_fd >= 0 && input_at < input_size) {
		ssize_t count = write(in_fd, input + input_at, input_size - input_at);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count <= 0)
			break; /* the helper does not want the rest */
		input_at += (size_t)count;
	}
	fd_close(&in_fd);
}

static void keep_output(const uint8_t *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t at = output_total % sizeof(output);
		size_t part = sizeof(output) - at < size - done ? sizeof(output) - at : size - done;

		memcpy(output + at, data + done, part);
		output_total += part;
		done += part;
	}
}

/* True when there is nothing more to read now. */
static bool read_output(void)
{
	static uint8_t data[READ_BYTES];

	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t count = out_fd < 0 ? 0 : read(out_fd, data, sizeof(data));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return true;
		if (count <= 0) {
			fd_close(&out_fd);
			return true;
		}
		keep_output(data, (size_t)count);
	}
	return false;
}

static void put_output(struct writer *to)
{
	size_t size = output_total < sizeof(output) ? output_total : sizeof(output);
	size_t start = output_total < sizeof(output) ? 0 : output_total % sizeof(output);
	static uint8_t straight[VS_MAX_RUN_OUTPUT_BYTES];

	memcpy(straight, output + start, size - start);
	memcpy(straight + size - start, output, start);
	put_bytes(to, straight, size);
}

static bool check_started(void)
{
	char step[CHILD_STEP_BYTES];
	int error;

	if (started)
		return true;
	error = child_report(&report_fd, step);
	if (error > 0)
		finish(call_fail(pending, error, "%s", step));
	started = error == 0;
	return started;
}

/* Kills the whole process group. What dies later is reaped like any orphan. */
static void kill_helper(void)
{
	if (kill(-helper_pid, SIGKILL) == 0)
		return;
	/* ESRCH: it has not come so far as to have a group, and is alone. */
	if (errno != ESRCH || kill(helper_pid, SIGKILL) < 0)
		log_line("kill(%d): %s", (int)helper_pid, strerror(errno));
}

void helper_step(void)
{
	bool drained;

	if (pending == NULL)
		return;
	if (clock_now() >= deadline) {
		if (!reaped)
			kill_helper();
		finish(call_fail(pending, ETIMEDOUT, "run(%s)", name));
		return;
	}
	if (!check_started())
		return;
	write_input();
	/*
	 * Read even after the helper has ended: the pipe still holds what it wrote. A daemon that it left may keep the
	 * pipe open.
	 */
	drained = read_output();
	if (!reaped || !drained)
		return;
	put_u32(&pending->result, (uint32_t)wait_status);
	put_output(&pending->result);
	finish(0);
}
