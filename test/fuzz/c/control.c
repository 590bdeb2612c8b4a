/*
 * The launcher's orders to the supervisor, lines of text in a pipe, cut anywhere.
 *
 * What must hold: lines come whole and in order, as often as they were sent; a line names the process that it ends.
 */
#include "control.h"

#include "harness/check.h"
#include "harness/file.h"
#include "harness/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A line that names a process. A number may have a sign, zeros and blanks before it. */
static void check_end(const char *line, pid_t pid, const char *argument)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld ", (long)pid);
	check(argument > line && argument <= line + strlen(line), "the argument is part of the line");
	check(pid == 0 || (pid > 0 && strstr(line, text) != NULL), "the process is the one of the line");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control control = {.length = 0};
	const char *argument;
	pid_t pid;
	size_t at = 1;

	if (size < 1)
		return -1;
	file_set(data + 1, size - 1, data[0]);
	int fd = open("control", O_RDONLY);

	while (control_read(&control, fd)) {
		char line[CONTROL_BYTES];

		while (control_next(&control, line)) {
			const uint8_t *end = memchr(data + at, '\n', size - at);

			check(end != NULL && memcmp(line, data + at, (size_t)(end - (data + at))) == 0,
			      "a line is what was sent");
			at = (size_t)(end - data) + 1;
			if (control_is("end", line, &pid, &argument) || control_is("last", line, &pid, &argument) ||
			    control_is("expect-parent", line, &pid, &argument))
				check_end(line, pid, argument);
		}
	}
	(void)close(fd);
	file_set(NULL, 0, 0);
	return 0;
}
