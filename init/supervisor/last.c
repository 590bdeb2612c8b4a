#include "last.h"

#include "control.h"
#include "expected.h"
#include "kill_qemu.h"

#include <stdio.h>

/* A QEMU; or the controller of a container, and its init. */
#define MOST 4

static struct last {
	pid_t pid;
	char argument[CONTROL_BYTES];
} last[MOST];
static size_t count;

bool last_obey(const char *order)
{
	const char *argument;
	pid_t pid;

	bool is_parent = control_is("expect-parent", order, &pid, &argument);

	if (is_parent || control_is("expect", order, &pid, &argument)) {
		expected_set(pid, argument, is_parent);
		return true;
	}
	if (!control_is("last", order, &pid, &argument))
		return false;
	expected_set(0, "", false);
	/* Of more than there are of one domain it takes no notice. */
	if (pid > 0 && count < MOST) {
		/* It is part of an order, which fits. */
		(void)snprintf(last[count].argument, sizeof(last[count].argument), "%s", argument);
		last[count++].pid = pid;
	}
	return true;
}

void last_end(void (*reap)(void *), void *context)
{
	expected_end(reap, context);
	for (size_t i = 0; i < count; i++)
		(void)kill_qemu(last[i].pid, last[i].argument, false, reap, context);
}
