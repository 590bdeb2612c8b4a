#include "report.h"

#include "shared/write_all.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REPORT_FD 1

void report(const char *text)
{
	(void)write_all(REPORT_FD, text, strlen(text));
}

int report_failure(const char *what)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "failed %s: %s\n", what, strerror(errno));
	report(line);
	return 1;
}
