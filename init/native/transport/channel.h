/* The byte stream to the host after the handshake: its descriptors, raw writes, and its end. */
#ifndef VS_CHANNEL_H
#define VS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Sets the descriptors, both non-blocking; only a fuzzer passes two different ones. With `can_splice`, `out` takes
 * pages of a pipe instead of copies.
 */
void channel_open(int in, int out, bool can_splice);
int channel_in(void);
int channel_out(void);

/*
 * Writes as write(2) does on a non-blocking descriptor: EAGAIN when the host is slow. Any other failure has ended the
 * channel.
 */
ssize_t channel_write(const void *data, size_t size);

bool channel_can_splice(void);
/*
 * Moves `size` bytes from the pipe to the host without a copy; otherwise as channel_write(). They must be all that the
 * pipe holds, because the port's driver announces as many buffers as the pipe has, however few it fills. EINVAL: the
 * channel cannot splice, nothing was moved, and channel_can_splice() is false from now on.
 */
ssize_t channel_splice(int pipe_fd, size_t size);

/* Ends the channel: the host is gone, said QUIT, or broke the protocol. The first `reason` counts; the log gets it. */
void channel_end(const char *reason);
bool channel_ended(void);
/* Ends the channel because the host is gone. */
void channel_lost(void);
/* Whether a host is there to receive what is still queued. */
bool channel_alive(void);

#endif
