#include "last.h"

#include "control.h"
#include "kill_qemu.h"

#include <stdio.h>

/* A QEMU; or the controller of a container, and its init. */
#define MOST 4

static struct last {
	pid_t pid;
	char argument[CONTROL_BYTES];
} last[MOST];
static size_t count;

void last_add(pid_t pid, const char *argument)
{
	if (pid <= 0 || count == MOST)
		return;
	/* It is part of an order, which fits. */
	(void)snprintf(last[count].argument, sizeof(last[count].argument), "%s", argument);
	last[count++].pid = pid;
}

void last_end(void (*reap)(void *), void *context)
{
	for (size_t i = 0; i < count; i++)
		(void)kill_qemu(last[i].pid, last[i].argument, false, reap, context);
}
