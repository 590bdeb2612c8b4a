/* Standard input of the application: a ring as large as the host's window, so that input never holds up anything else. */
#ifndef VS_STDIN_H
#define VS_STDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A contiguous free part of the ring to read into, then how much of it was filled. */
size_t stdin_space(uint8_t **at);
void stdin_commit(size_t size);
void stdin_put(const uint8_t *data, size_t size);
void stdin_end(void);
/* Bytes the host has sent and not seen acknowledged. */
size_t stdin_outstanding(void);

/* The application is there: its pipe, or its terminal. The descriptor now belongs to the ring. */
void stdin_attach(int fd, bool pty);
/* Nobody reads any more: what is there and what comes is thrown away. */
void stdin_discard(void);

/* The descriptor to poll for writing, or -1. */
int stdin_poll_fd(void);
/* Writes what the application takes. */
void stdin_pump(void);

void stdin_set_mid_packet(bool mid_packet);
/* How many bytes to acknowledge now; 0 while it is not worth a packet. Whoever takes the number sends it. */
uint32_t stdin_take_acknowledgement(void);

#endif
