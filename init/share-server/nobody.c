#include "nobody.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define USUAL_OVERFLOW_ID 65534

/* The kernel's number for an id that a user namespace does not have. */
static unsigned long overflow_id(const char *setting)
{
	char text[16];
	int fd = open(setting, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? strtoul(text, NULL, 10) : USUAL_OVERFLOW_ID;
}

uid_t nobody_user(void)
{
	return (uid_t)overflow_id("/proc/sys/kernel/overflowuid");
}

gid_t nobody_group(void)
{
	return (gid_t)overflow_id("/proc/sys/kernel/overflowgid");
}
