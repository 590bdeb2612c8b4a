/*
 * The output of each process: from its pipes or its terminal to frames for the host. A slot below VS_MAX_PROCESSES
 * stands for a process, which the host names by a number. The host grants each stream a window. One whose window is used
 * up waits for the host, and no other stream does.
 */
#ifndef VS_STREAMS_H
#define VS_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

/* A process has two streams. */
enum stream_index { STREAM_OUT, STREAM_ERR, STREAM_COUNT };

/* Takes over the descriptors. Without `err` (-1) no end of STDERR is sent: a terminal is one stream. */
void streams_attach(int slot, uint32_t process, int out, int err, bool pty);

/* The descriptor to poll for a stream, or -1 if it is closed or known to have data. */
int streams_poll_fd(int slot, enum stream_index index);
void streams_set_ready(int slot, enum stream_index index);
/* Whether a stream has data that is not in a frame yet, and may be sent. */
bool streams_ready(void);
/* The host has taken `size` more bytes of a stream. False if it was not sent as many. */
bool streams_acknowledge(uint32_t process, uint32_t proc, uint32_t size);

/* Reads a frame if there is data. True if there is a frame to send. */
bool streams_fill(void);
/* Sends the rest of the frame. False if the host is slow or gone. */
bool streams_send(void);
bool streams_in_frame(void);
/* From now on no stream begins a frame. */
void streams_stop(void);

/* Whether every stream of a process has ended and all of it was sent. */
bool streams_finished(int slot);
/* Whether there is output of a process that the host has to take, or will be sent. */
bool streams_pending(int slot);
/* When a stream of a process was last read. */
uint64_t streams_last_activity(int slot);
/* Treats open streams of a process as if they had ended. */
void streams_abandon(int slot);
/* Frees the slot, whose streams have finished, or are forgotten. */
void streams_release(int slot);

#endif
