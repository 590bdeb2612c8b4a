#include "util/clock.h"

#include <limits.h>

uint64_t clock_read(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * MICROSECONDS_PER_SECOND + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

int clock_poll_timeout(uint64_t deadline)
{
	uint64_t now = clock_now();
	uint64_t left;

	if (deadline <= now)
		return 0;
	left = (deadline - now + MICROSECONDS_PER_MILLISECOND - 1) / MICROSECONDS_PER_MILLISECOND;
	return left > INT_MAX ? INT_MAX : (int)left;
}
