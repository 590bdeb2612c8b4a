/* The byte stream to the host after the handshake: its descriptors, and taking packets out of it. */
#ifndef VS_CHANNEL_H
#define VS_CHANNEL_H

#include "util.h"

#include <sys/types.h>

/*
 * The two are the same descriptor but for a fuzzer. Both are non-blocking. `can_splice`: pages of a pipe may be given to `out`
 * instead of copies of them.
 */
void channel_open(int in, int out, bool can_splice);
int channel_in(void);
int channel_out(void);

/* Bytes that came behind the handshake in the same read. */
void channel_prime(const uint8_t *data, size_t size);

/* Reads and carries out what has arrived; returns when there is no more, or something else deserves a turn. */
void channel_read(void);
/* Carries out what had to wait, where it can be now. */
void channel_resume(void);
/* Whether there is a place for more input. Without one it is left to the kernel, and the host has to wait. */
bool channel_wants_input(void);

/* As write(2) on a non-blocking descriptor: EAGAIN when the host is slow. Any other failure has ended the channel. */
ssize_t channel_write(const void *data, size_t size);

bool channel_can_splice(void);
/*
 * Moves the `size` bytes that are in the pipe to the host without copying them; else as channel_write(). They have to be all that is
 * in the pipe: the port's driver announces as many buffers as the pipe has, however few it fills. EINVAL: the channel cannot do it,
 * nothing was moved, and it will not say again that it can.
 */
ssize_t channel_splice(int pipe_fd, size_t size);

/* The host is gone, said QUIT, or broke the protocol: `reason` is for the console. The first one counts. */
void channel_end(const char *reason);
bool channel_ended(void);
/* Nobody is on the other side any more. */
void channel_lost(void);
/* Whether the other side is there to receive what is still queued. */
bool channel_alive(void);

#endif
