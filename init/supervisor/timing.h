/* Times of the supervisor. */
#ifndef VS_TIMING_H
#define VS_TIMING_H

/* How long processes may take to end after SIGTERM, in milliseconds. Then they get SIGKILL. */
#define GRACE_MS 5000

/* How long libvirt may take to start what is expected (expected.h), in milliseconds. */
#define EXPECTED_MS 5000

/* The monotonic clock, in milliseconds. */
long long now_ms(void);

#endif
