/*
 * A clock that steps, for one program: preloaded, it adds the seconds in the file $CLOCK_STEPS to the time of day. The
 * file has one signed 64-bit number in the machine's byte order, and whoever changes it makes the clock step.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t none;
static volatile int64_t *step = &none;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("CLOCK_STEPS");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof(*step), PROT_READ, MAP_SHARED, fd, 0);

	if (at != MAP_FAILED)
		step = at;
	(void)close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int result = (int)syscall(SYS_clock_gettime, clock, t);

	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		t->tv_sec += *step;
	return result;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	int result = (int)syscall(SYS_gettimeofday, t, zone);

	if (result == 0)
		t->tv_sec += *step;
	return result;
}

time_t time(time_t *result)
{
	struct timespec t;

	if (clock_gettime(CLOCK_REALTIME, &t) != 0)
		return -1;
	if (result)
		*result = t.tv_sec;
	return t.tv_sec;
}
