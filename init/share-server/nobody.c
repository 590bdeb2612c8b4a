#include "nobody.h"

#include "setting.h"

#define USUAL_OVERFLOW_ID 65534

/* The kernel's numbers for an id that a user namespace does not have. */
uid_t nobody_user(void)
{
	return (uid_t)setting_read("/proc/sys/kernel/overflowuid", USUAL_OVERFLOW_ID);
}

gid_t nobody_group(void)
{
	return (gid_t)setting_read("/proc/sys/kernel/overflowgid", USUAL_OVERFLOW_ID);
}
