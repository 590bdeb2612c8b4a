/* The application's output: from its pipes or its terminal to frames for the host. */
#ifndef VS_STREAMS_H
#define VS_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#define STREAM_COUNT 2

/* The descriptors now belong to the streams. With a terminal there is one: `err` is -1, and no end of STDERR is sent. */
void streams_attach(int out, int err);

/* Where to poll for stream `index`, or -1: closed, or already known to have something. */
int streams_poll_fd(int index);
void streams_set_ready(int index);
/* Whether a stream has something that was not made a frame yet. */
bool streams_ready(void);

/* Reads a frame where there is something to read; true when there is one to send. */
bool streams_fill(void);
/* Sends what is left of the frame; false when the host is slow or gone. */
bool streams_send(void);
bool streams_in_frame(void);

/* Whether every stream has come to its end, with all of it sent. */
bool streams_finished(void);
/* When something was last read, or could not be because the host is slow. */
uint64_t streams_last_activity(void);
/* Gives up on streams that are still open: as if they had ended. */
void streams_abandon(void);

#endif
