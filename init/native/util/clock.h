/* Clocks and deadlines, in microseconds. */
#ifndef VS_CLOCK_H
#define VS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MICROSECONDS_PER_SECOND 1000000
#define MICROSECONDS_PER_MILLISECOND 1000

/* Reads a clock; 0 when that fails. */
uint64_t clock_read(clockid_t clock);
/* Reads the monotonic clock, which stands still while a machine is saved. */
uint64_t clock_now(void);

/* Milliseconds for poll() until `deadline`, rounded up so that no wait ends just before it. */
int clock_poll_timeout(uint64_t deadline);

#endif
