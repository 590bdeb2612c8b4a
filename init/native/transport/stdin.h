/*
 * The application's standard input: a ring as large as the host's window, so that input never holds up anything else.
 */
#ifndef VS_STDIN_H
#define VS_STDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives a contiguous free part of the ring to read into; then says how much of it was filled. */
size_t stdin_space(uint8_t **at);
void stdin_commit(size_t size);
void stdin_put(const uint8_t *data, size_t size);
void stdin_end(void);
/* Bytes that the host has sent and not seen acknowledged. */
size_t stdin_outstanding(void);

/* Connects the application's pipe or terminal. The ring now owns the descriptor. */
void stdin_attach(int fd, bool pty);
/* The application reads no more: discards what is there and what comes. */
void stdin_discard(void);

/* The descriptor to poll for writing, or -1. */
int stdin_poll_fd(void);
/* Writes what the application takes. */
void stdin_pump(void);

void stdin_set_mid_packet(bool mid_packet);
/* Returns how many bytes to acknowledge now, 0 while that is not worth a packet. The caller must send that number. */
uint32_t stdin_take_acknowledgement(void);

#endif
