/* Small things everything needs: clocks, file descriptors, and whether this is a build for tests. */
#ifndef VS_UTIL_H
#define VS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PRINTF(text, first) __attribute__((format(printf, text, first)))

/*
 * A test build runs on the host as an ordinary process: what would change the host (mounts, the clock, networking, power off) is
 * decoded and then refused, and only the process's own children are killed.
 */
#ifdef VS_TEST
#define TEST_BUILD true
#else
#define TEST_BUILD false
#endif

#define MICROSECONDS_PER_SECOND 1000000
#define MICROSECONDS_PER_MILLISECOND 1000

/* Microseconds of a clock; time_now() is the monotonic one, which stands still while a machine is saved. */
uint64_t time_of(clockid_t clock);
uint64_t time_now(void);

/* Milliseconds for poll() until `deadline`, rounded up so that a wait never ends just before it. */
int poll_timeout(uint64_t deadline);

/* Closes *fd where it is open, and marks it closed. */
void close_fd(int *fd);

/* A close-on-exec copy of `fd`. */
int dup_fd(int fd);

/* A close-on-exec pipe. The end `parent_end` (0 or 1) is non-blocking, and the pipe is large where the kernel lets it be. */
int make_pipe(int ends[2], int parent_end);

/* Writes all of it, or fails with errno. */
int write_all(int fd, const void *data, size_t size);

#endif
