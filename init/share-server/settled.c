#include "settled.h"

#include "setting.h"

#define CENTISECONDS 100UL

/* What the kernel takes longer than it is told to. */
#define MARGIN_SECONDS 25UL

/* A day. Nobody waits for longer. */
#define MOST_SECONDS 86400UL

uint32_t settled_seconds(void)
{
	const unsigned long expire = setting_read("/proc/sys/vm/dirty_expire_centisecs", 0);
	const unsigned long interval = setting_read("/proc/sys/vm/dirty_writeback_centisecs", 0);

	if (expire == 0 || interval == 0 || expire > MOST_SECONDS * CENTISECONDS ||
	    interval > MOST_SECONDS * CENTISECONDS)
		return 0;
	return (uint32_t)((expire + interval + CENTISECONDS - 1) / CENTISECONDS + MARGIN_SECONDS);
}
