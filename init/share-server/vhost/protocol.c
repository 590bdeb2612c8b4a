#include "vhost/protocol.h"

#include "vhost/message.h"

#include <linux/virtio_config.h>
#include <unistd.h>

#define BIT(number) (UINT64_C(1) << (number))

/* VHOST_USER_F_PROTOCOL_FEATURES and VHOST_F_LOG_ALL; VHOST_USER_PROTOCOL_F_MQ, _LOG_SHMFD, _REPLY_ACK and _DEVICE_STATE */
#define HAS_PROTOCOL_FEATURES BIT(30)
#define LOGS BIT(26)
#define MANY_QUEUES BIT(0)
#define SHARES_LOG BIT(1)
#define ANSWERS BIT(3)
#define HAS_STATE BIT(19)

#define FEATURES                                                                                     \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 HAS_PROTOCOL_FEATURES)
#define PROTOCOL_FEATURES (MANY_QUEUES | ANSWERS | HAS_STATE)

/* An answer to MESSAGE_SET_STATE: well, and by the descriptor that came with it. */
#define BY_THAT_DESCRIPTOR 0x100U

/* In the number that comes with a ring's descriptor. */
#define RING_MASK 0xffU
#define NO_DESCRIPTOR 0x100U

static const char *const NO_RING = "a message is of a ring that there is not";
static const char *const SHORT = "a message is too short";
static const char *const UNSENT = "an answer cannot be sent";
static const char *const NOT_AGREED = "a message is of a kind that was not agreed on";

/* QEMU saves no machine with a device that cannot log what it writes: device.h */
static uint64_t features_of(const struct device *device)
{
	return device->is_saved ? FEATURES | LOGS : FEATURES;
}

static uint64_t protocol_features_of(const struct device *device)
{
	return device->is_saved ? PROTOCOL_FEATURES | SHARES_LOG : PROTOCOL_FEATURES;
}

static const char *set_features(struct device *device, uint64_t features)
{
	if (features & ~features_of(device))
		return "features that were not offered are wanted";
	for (size_t index = 0; index < DEVICE_RINGS; index += 1) {
		struct ring *ring = &device->rings[index];

		ring->has_events = (features & BIT(VIRTIO_RING_F_EVENT_IDX)) != 0;
		ring->has_indirect = (features & BIT(VIRTIO_RING_F_INDIRECT_DESC)) != 0;
		/* Who does not know these features does not enable rings either. */
		if ((features & HAS_PROTOCOL_FEATURES) == 0)
			ring->enabled = true;
	}
	return NULL;
}

static const char *set_protocol_features(struct device *device, uint64_t features)
{
	if (features & ~protocol_features_of(device))
		return "protocol features that were not offered are wanted";
	device->protocol_features = features;
	return NULL;
}

static const char *set_memory(struct device *device, struct message *message)
{
	for (size_t index = 0; index < DEVICE_RINGS; index += 1)
		device->rings[index].resolved = false;
	return memory_replace(&device->memory, &message->body.memory, message->fds, message->fd_count);
}

static const char *set_ring_size(struct ring *ring, uint32_t size)
{
	if (size == 0 || size > RING_MOST || (size & (size - 1)) != 0)
		return "a ring has a size that no ring has";
	ring->size = size;
	ring->resolved = false;
	return NULL;
}

static const char *set_ring_address(struct ring *ring, const struct ring_address *address)
{
	ring->descriptors_user = address->descriptors;
	ring->available_user = address->available;
	ring->used_user = address->used;
	ring->resolved = false;
	return NULL;
}

static const char *set_ring_base(struct ring *ring, uint32_t base)
{
	if (base > UINT16_MAX)
		return "a ring begins behind its end";
	ring->next = (uint16_t)base;
	ring->called = ring->next;
	return NULL;
}

static const char *set_ring_enable(struct ring *ring, uint32_t number)
{
	ring->enabled = number != 0;
	return NULL;
}

static void replace(int *descriptor, int by)
{
	if (*descriptor >= 0)
		(void)close(*descriptor);
	*descriptor = by;
}

static const char *set_ring_descriptor(struct device *device, struct message *message)
{
	const uint64_t number = message->body.number;
	const bool has_one = (number & NO_DESCRIPTOR) == 0;
	int descriptor = has_one ? message_take(message) : -1;

	if (has_one && descriptor < 0)
		return "a message has no descriptor";
	struct ring *ring = &device->rings[number & RING_MASK];

	if (message->header.kind == MESSAGE_SET_RING_CALL)
		replace(&ring->call, descriptor);
	else if (message->header.kind == MESSAGE_SET_RING_KICK)
		replace(&ring->kick, descriptor);
	else
		/* Nothing is ever wrong with a ring that does not end the device. */
		replace(&descriptor, -1);
	return NULL;
}

/* Stops the ring. */
static const char *get_ring_base(struct device *device, const struct message *message)
{
	struct ring *ring = &device->rings[message->body.state.index];
	const struct ring_state state = {.index = message->body.state.index, .number = ring->next};

	replace(&ring->kick, -1);
	ring->resolved = false;
	return message_reply(device->socket, message, &state, sizeof(state)) ? NULL : UNSENT;
}

static const char *answer(const struct device *device, const struct message *message, uint64_t number)
{
	return message_reply(device->socket, message, &number, sizeof(number)) ? NULL : UNSENT;
}

/* The log that comes with it is closed: device.h */
static const char *set_log(const struct device *device, const struct message *message)
{
	if (!device->is_saved)
		return NOT_AGREED;
	return message_reply(device->socket, message, NULL, 0) ? NULL : UNSENT;
}

/*
 * What a device knows of its guest it knows from the rings, which QEMU saves and loads itself. So its state is empty: QEMU
 * reads or writes nothing, and finds the descriptor closed.
 */
static const char *set_state(const struct device *device, const struct message *message)
{
	if ((device->protocol_features & HAS_STATE) == 0)
		return NOT_AGREED;
	return answer(device, message, BY_THAT_DESCRIPTOR);
}

/* The least bytes of a message. */
static size_t least_bytes(const struct message *message)
{
	switch (message->header.kind) {
	case MESSAGE_SET_FEATURES:
	case MESSAGE_SET_PROTOCOL_FEATURES:
	case MESSAGE_SET_RING_KICK:
	case MESSAGE_SET_RING_CALL:
	case MESSAGE_SET_RING_ERROR:
		return sizeof(message->body.number);
	case MESSAGE_SET_MEMORY:
		return offsetof(struct memory_table, pieces);
	case MESSAGE_SET_RING_SIZE:
	case MESSAGE_SET_RING_BASE:
	case MESSAGE_GET_RING_BASE:
	case MESSAGE_SET_RING_ENABLE:
		return sizeof(message->body.state);
	case MESSAGE_SET_RING_ADDRESS:
		return sizeof(message->body.address);
	default:
		return 0;
	}
}

/* Whether the ring that a message names exists. */
static bool names_ring(const struct message *message)
{
	switch (message->header.kind) {
	case MESSAGE_SET_RING_KICK:
	case MESSAGE_SET_RING_CALL:
	case MESSAGE_SET_RING_ERROR:
		return (message->body.number & RING_MASK) < DEVICE_RINGS;
	case MESSAGE_SET_RING_SIZE:
	case MESSAGE_SET_RING_ADDRESS:
	case MESSAGE_SET_RING_BASE:
	case MESSAGE_GET_RING_BASE:
	case MESSAGE_SET_RING_ENABLE:
		return message->body.state.index < DEVICE_RINGS;
	default:
		return true;
	}
}

/* *answered: it has an answer of its own. */
static const char *obey(struct device *device, struct message *message, bool *answered)
{
	const struct ring_state *state = &message->body.state;

	*answered = true;
	switch (message->header.kind) {
	case MESSAGE_GET_FEATURES:
		return answer(device, message, features_of(device));
	case MESSAGE_GET_PROTOCOL_FEATURES:
		return answer(device, message, protocol_features_of(device));
	case MESSAGE_GET_QUEUE_COUNT:
		return answer(device, message, DEVICE_RINGS);
	case MESSAGE_GET_RING_BASE:
		return get_ring_base(device, message);
	case MESSAGE_SET_LOG_BASE:
		return set_log(device, message);
	case MESSAGE_SET_STATE:
		return set_state(device, message);
	case MESSAGE_CHECK_STATE:
		return (device->protocol_features & HAS_STATE) != 0 ? answer(device, message, 0) : NOT_AGREED;
	default:
		break;
	}
	*answered = false;
	switch (message->header.kind) {
	case MESSAGE_SET_OWNER:
	case MESSAGE_RESET_OWNER:
		return NULL;
	case MESSAGE_SET_LOG_DESCRIPTOR:
		return device->is_saved ? NULL : NOT_AGREED;
	case MESSAGE_SET_FEATURES:
		return set_features(device, message->body.number);
	case MESSAGE_SET_PROTOCOL_FEATURES:
		return set_protocol_features(device, message->body.number);
	case MESSAGE_SET_MEMORY:
		return set_memory(device, message);
	case MESSAGE_SET_RING_SIZE:
		return set_ring_size(&device->rings[state->index], state->number);
	case MESSAGE_SET_RING_ADDRESS:
		return set_ring_address(&device->rings[state->index], &message->body.address);
	case MESSAGE_SET_RING_BASE:
		return set_ring_base(&device->rings[state->index], state->number);
	case MESSAGE_SET_RING_ENABLE:
		return set_ring_enable(&device->rings[state->index], state->number);
	case MESSAGE_SET_RING_KICK:
	case MESSAGE_SET_RING_CALL:
	case MESSAGE_SET_RING_ERROR:
		return set_ring_descriptor(device, message);
	default:
		return NOT_AGREED;
	}
}

static const char *handle(struct device *device, struct message *message)
{
	bool answered;

	if (message->header.bytes < least_bytes(message))
		return SHORT;
	if (!names_ring(message))
		return NO_RING;
	const char *failed = obey(device, message, &answered);

	if (failed != NULL || answered || (message->header.flags & MESSAGE_NEEDS_REPLY) == 0 ||
	    (device->protocol_features & ANSWERS) == 0)
		return failed;
	return answer(device, message, 0);
}

const char *protocol_step(struct device *device, bool *end)
{
	struct message message;
	const char *failed;
	const enum message_result result = message_read(device->socket, &message, &failed);

	*end = result == MESSAGE_END;
	if (result == MESSAGE_READ)
		failed = handle(device, &message);
	message_close(&message);
	return *end ? NULL : failed;
}
