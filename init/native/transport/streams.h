/* The application's output: from its pipes or its terminal to frames for the host. */
#ifndef VS_STREAMS_H
#define VS_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#define STREAM_COUNT 2

/* Takes over the descriptors. A terminal is one stream: `err` is -1, and no end of STDERR is sent. */
void streams_attach(int out, int err);

/* The descriptor to poll for stream `index`, or -1 if it is closed or known to have data. */
int streams_poll_fd(int index);
void streams_set_ready(int index);
/* Whether a stream has data that is not in a frame yet. */
bool streams_ready(void);

/* Reads a frame if there is data. True if there is a frame to send. */
bool streams_fill(void);
/* Sends the rest of the frame. False if the host is slow or gone. */
bool streams_send(void);
bool streams_in_frame(void);

/* Whether every stream has ended and all of it was sent. */
bool streams_finished(void);
/* When a stream was last read, or could not be because the host is slow. */
uint64_t streams_last_activity(void);
/* Treats open streams as if they had ended. */
void streams_abandon(void);

#endif
