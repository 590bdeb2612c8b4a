/* What the hostile init sends: true packets, lies about packets, and random numbers that a seed repeats. */
#ifndef HOSTILE_WIRE_H
#define HOSTILE_WIRE_H

#include "transport/codec.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MOST_CALLS 4096

/* What the application is said to have ended with, as a raw wait status: 7. */
#define CLAIMED (7 << 8)

/* The number of the application. */
#define APPLICATION 1
/* What answers SPAWN: the time that it took, the number and a process ID. */
#define SPAWNED_BYTES 12
#define SPAWNED                               \
	{                                     \
		[7] = APPLICATION, [11] = 100 \
	}

/* Calls of the host that nothing was answered to. */
struct calls {
	struct packet_header made[MOST_CALLS];
	size_t count;
};

extern struct calls calls;

void wire_open(int fd);
uint32_t draw(uint32_t below);
void seed_with(const char *number);
void wait_a_moment(void);
/* False if the host has gone or does not read: then nothing more is sent. */
bool send_bytes(const void *data, size_t size);
/* A packet whose header may lie about its length. */
bool send_lie(uint32_t length, uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload,
	      size_t size);
bool send_packet(uint32_t proc, uint32_t type, uint32_t status, uint32_t serial, const void *payload, size_t size);
void send_exit(uint32_t status);
void answer(const struct packet_header *call, uint32_t status, const void *payload, size_t size);
/* Output that waits for the host, as it should. */
bool send_output(const void *data, size_t size);
/* A reply of a call that was carried out. */
void answer_well(const struct packet_header *call);
void answer_all(void);
void fill(uint8_t *bytes, size_t size);
uint32_t edge(void);
/* Any but STDERR, which the launcher has for its own messages too, and those are looked at. */
uint32_t any_proc(uint32_t below);
const struct packet_header *any_call(void);

#endif
