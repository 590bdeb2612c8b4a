#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 256

void log_line(const char *text)
{
	char line[LINE_BYTES];
	int length = snprintf(line, sizeof(line), "%s\n", text);

	if (length > (int)sizeof(line) - 1)
		length = sizeof(line) - 1;
	/* The launcher may be gone, and then nobody wants to know. */
	if (length > 0)
		(void)!write(STDERR_FILENO, line, (size_t)length);
}

void log_errno(const char *what)
{
	char line[LINE_BYTES];

	(void)snprintf(line, sizeof(line), "%s: %s", what, strerror(errno));
	log_line(line);
}
