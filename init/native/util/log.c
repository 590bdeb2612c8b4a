#include "util/log.h"

#include "util/clock.h"
#include "util/macros.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define DRAIN_LIMIT_US 500000
#define DRAIN_STEP_MS 1

static int console_fd = -1;
static bool debug_enabled;
static bool anything_written;

void log_open(const char *console)
{
	if (TEST_BUILD) {
		console_fd = STDERR_FILENO;
		return;
	}
	if (console == NULL)
		return;
	/* Non-blocking: a line that nobody reads is not worth a guest that hangs. */
	console_fd = open(console, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (console_fd < 0)
		console_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

void log_enable_debug(void)
{
	debug_enabled = true;
}

static void write_line(const char *prefix, const char *format, va_list arguments)
{
	char line[LINE_BYTES];
	int used;
	int added;

	if (console_fd < 0)
		return;
	used = snprintf(line, sizeof(line), "init: %s", prefix);
	if (used < 0)
		return;
	added = vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
	if (added < 0)
		return;
	used += added;
	if ((size_t)used > sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used++] = '\n';
	/* A lost console cannot be reported anywhere. */
	if (write(console_fd, line, (size_t)used) > 0)
		anything_written = true;
}

void log_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line("", format, arguments);
	va_end(arguments);
}

void log_debug(const char *format, ...)
{
	va_list arguments;
	char prefix[32];
	uint64_t now;

	if (!debug_enabled)
		return;
	now = clock_read(CLOCK_BOOTTIME);
	(void)snprintf(prefix, sizeof(prefix), "[%u.%06u] ", (unsigned)(now / MICROSECONDS_PER_SECOND),
		       (unsigned)(now % MICROSECONDS_PER_SECOND));
	va_start(arguments, format);
	write_line(prefix, format, arguments);
	va_end(arguments);
}

void log_drain(void)
{
	uint64_t deadline = clock_now() + DRAIN_LIMIT_US;
	int queued;

	if (TEST_BUILD || !anything_written)
		return;
	while (ioctl(console_fd, TIOCOUTQ, &queued) == 0 && queued > 0 && clock_now() < deadline)
		(void)poll(NULL, 0, DRAIN_STEP_MS);
}
