/* Messages of the vhost-user protocol, and the descriptors that come with them. QEMU: docs/interop/vhost-user.rst */
#ifndef VS_VHOST_MESSAGE_H
#define VS_VHOST_MESSAGE_H

#include "vhost/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_VERSION 1U
#define MESSAGE_VERSION_MASK 3U
#define MESSAGE_IS_REPLY 4U
#define MESSAGE_NEEDS_REPLY 8U

/* One for each region of memory; other messages have one at most. */
#define MESSAGE_FDS MEMORY_REGIONS

enum message_kind {
	MESSAGE_GET_FEATURES = 1,
	MESSAGE_SET_FEATURES = 2,
	MESSAGE_SET_OWNER = 3,
	MESSAGE_RESET_OWNER = 4,
	MESSAGE_SET_MEMORY = 5,
	MESSAGE_SET_LOG_BASE = 6,
	MESSAGE_SET_LOG_DESCRIPTOR = 7,
	MESSAGE_SET_RING_SIZE = 8,
	MESSAGE_SET_RING_ADDRESS = 9,
	MESSAGE_SET_RING_BASE = 10,
	MESSAGE_GET_RING_BASE = 11,
	MESSAGE_SET_RING_KICK = 12,
	MESSAGE_SET_RING_CALL = 13,
	MESSAGE_SET_RING_ERROR = 14,
	MESSAGE_GET_PROTOCOL_FEATURES = 15,
	MESSAGE_SET_PROTOCOL_FEATURES = 16,
	MESSAGE_GET_QUEUE_COUNT = 17,
	MESSAGE_SET_RING_ENABLE = 18,
	MESSAGE_SET_STATE = 42,
	MESSAGE_CHECK_STATE = 43,
};

struct ring_state {
	uint32_t index;
	uint32_t number;
};

/* All of them are addresses in QEMU. */
struct ring_address {
	uint32_t index;
	uint32_t flags;
	uint64_t descriptors;
	uint64_t used;
	uint64_t available;
	uint64_t log;
};

struct message {
	struct {
		uint32_t kind;
		uint32_t flags;
		uint32_t bytes;
	} header;
	union {
		uint64_t number;
		struct ring_state state;
		struct ring_address address;
		struct memory_table memory;
	} body;
	/* Those that nobody has taken; -1: taken. */
	int fds[MESSAGE_FDS];
	size_t fd_count;
};

enum message_result { MESSAGE_READ, MESSAGE_END, MESSAGE_BROKEN };

/* Reads one message whole. @failed why it is broken. The descriptors are to be given back to message_close(). */
enum message_result message_read(int socket, struct message *message, const char **failed);

/* Closes the descriptors that nobody has taken. */
void message_close(struct message *message);

/* The descriptor that came alone, or -1. It is the caller's from now on. */
int message_take(struct message *message);

/* Answers a message with `bytes` bytes. False if they cannot be sent. */
bool message_reply(int socket, const struct message *message, const void *body, size_t bytes);

#endif
