/* What programs that measure share: the clock, and the end of a program that cannot go on. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Says what failed, and why by errno. */
static inline _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* In seconds. */
static inline double now(void)
{
	struct timespec time;

	if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
		fail("clock_gettime");
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

#endif
