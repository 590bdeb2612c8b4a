/*
 * The standard input of each process: a ring as large as the host's window, so that input never holds up anything else.
 * A slot below VS_MAX_PROCESSES stands for a process, which the host names by a number.
 */
#ifndef VS_STDIN_H
#define VS_STDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Gives a slot its ring. -1 with errno if there is no memory for it. */
int stdin_reserve(int slot);
/* Connects the pipe or terminal of a process. The slot now owns the descriptor. */
void stdin_attach(int slot, uint32_t process, int fd, bool pty);
/* The process reads no more: discards what is there and what comes. */
void stdin_discard(int slot);
/* Frees the slot. What comes for its process is ignored from now on. */
void stdin_release(int slot);

/* The slot of a process, or -1 if it has ended or never was. */
int stdin_slot(uint32_t process);
/* Gives a contiguous free part of the ring to read into; then says how much of it was filled. */
size_t stdin_space(int slot, uint8_t **at);
void stdin_commit(int slot, size_t size);
void stdin_put(int slot, const uint8_t *data, size_t size);
void stdin_end(int slot);
/* Bytes that the host has sent and not seen acknowledged. */
size_t stdin_outstanding(int slot);

/* The descriptor to poll for writing, or -1. */
int stdin_poll_fd(int slot);
/* Writes what the processes take. */
void stdin_pump(void);

/*
 * Finds a process whose input is worth an acknowledgement now, and returns how many bytes to acknowledge, which the
 * caller must send. 0: there is none.
 */
uint32_t stdin_take_acknowledgement(uint32_t *process);

#endif
