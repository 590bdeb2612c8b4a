#include "vhost/ring.h"

#include <string.h>
#include <unistd.h>

void ring_clear(struct ring *ring)
{
	(void)memset(ring, 0, sizeof(*ring));
	ring->kick = -1;
	ring->call = -1;
}

bool ring_is_ready(const struct ring *ring)
{
	return ring->enabled && ring->kick >= 0 && ring->size > 0;
}

/* A part of the ring, if it is in memory as a whole. */
static void *find(const struct memory *memory, uint64_t address, uint64_t bytes, size_t alignment)
{
	void *at = memory_of_user(memory, address, bytes);

	return (uintptr_t)at % alignment == 0 ? at : NULL;
}

/* Behind the last entries of two of them is the index of an event. */
bool ring_resolve(struct ring *ring, const struct memory *memory)
{
	const uint64_t size = ring->size;

	if (ring->resolved)
		return true;
	ring->descriptors =
		find(memory, ring->descriptors_user, size * sizeof(struct vring_desc), _Alignof(struct vring_desc));
	ring->available = find(memory, ring->available_user, sizeof(struct vring_avail) + (size + 1) * sizeof(uint16_t),
			       _Alignof(struct vring_avail));
	ring->used = find(memory, ring->used_user,
			  sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + sizeof(uint16_t),
			  VRING_USED_ALIGN_SIZE);
	ring->resolved = ring->descriptors != NULL && ring->available != NULL && ring->used != NULL;
	return ring->resolved;
}

/* Descriptors of the ring itself, or of a table that one of them names. */
struct list {
	const struct vring_desc *at;
	uint32_t count;
};

/* Adds a buffer of the guest's. It may lie in several regions. */
static const char *add_part(struct chain *chain, const struct memory *memory, const struct vring_desc *part)
{
	const bool is_reply = (part->flags & VRING_DESC_F_WRITE) != 0;
	struct iovec *const parts = is_reply ? chain->out : chain->in;
	size_t *const count = is_reply ? &chain->out_count : &chain->in_count;
	uint64_t address = part->addr;
	uint64_t left = part->len;

	if (!is_reply && chain->out_count > 0)
		return "a request goes on behind its reply";
	while (left > 0) {
		uint64_t length = left;
		void *at = memory_of_guest(memory, address, &length);

		if (at == NULL)
			return "a request is not in memory";
		if (*count == CHAIN_PARTS)
			return "a request has too many parts";
		parts[*count] = (struct iovec){.iov_base = at, .iov_len = (size_t)length};
		*count += 1;
		address += length;
		left -= length;
	}
	return NULL;
}

/* Goes over to the table that a descriptor names. */
static const char *enter_table(struct list *list, const struct memory *memory, const struct vring_desc *named)
{
	uint64_t length = named->len;
	const void *at = memory_of_guest(memory, named->addr, &length);

	if (named->flags & VRING_DESC_F_NEXT)
		return "a request goes on behind its table";
	if (at == NULL || length != named->len || length == 0 || length % sizeof(struct vring_desc) != 0 ||
	    (uintptr_t)at % _Alignof(struct vring_desc) != 0)
		return "a table of descriptors is not in memory";
	*list = (struct list){.at = at, .count = (uint32_t)(length / sizeof(struct vring_desc))};
	return NULL;
}

/* Only the copy is believed: the compiler reads nothing a second time. */
static void copy_descriptor(struct vring_desc *copy, const struct vring_desc *shared)
{
	copy->addr = __atomic_load_n(&shared->addr, __ATOMIC_RELAXED);
	copy->len = __atomic_load_n(&shared->len, __ATOMIC_RELAXED);
	copy->flags = __atomic_load_n(&shared->flags, __ATOMIC_RELAXED);
	copy->next = __atomic_load_n(&shared->next, __ATOMIC_RELAXED);
}

static const char *read_chain(const struct ring *ring, const struct memory *memory, struct chain *chain)
{
	struct list list = {.at = ring->descriptors, .count = ring->size};
	uint32_t index = chain->head;
	bool in_table = false;

	/* A chain that is a loop ends here too. */
	for (uint32_t steps = 0; steps <= CHAIN_PARTS; steps += 1) {
		struct vring_desc part;
		const char *failed;

		if (index >= list.count)
			return "a request names a descriptor that there is not";
		copy_descriptor(&part, &list.at[index]);
		if (part.flags & VRING_DESC_F_INDIRECT) {
			if (!ring->has_indirect || in_table)
				return "a request has a table in a table";
			failed = enter_table(&list, memory, &part);
			in_table = true;
			index = 0;
			if (failed != NULL)
				return failed;
			continue;
		}
		failed = add_part(chain, memory, &part);
		if (failed != NULL)
			return failed;
		if ((part.flags & VRING_DESC_F_NEXT) == 0)
			return NULL;
		index = part.next;
	}
	return "a request has no end";
}

const char *ring_take(struct ring *ring, const struct memory *memory, struct chain *chain, bool *taken)
{
	const uint16_t end = __atomic_load_n(&ring->available->idx, __ATOMIC_ACQUIRE);

	*taken = false;
	if (end == ring->next)
		return NULL;
	if ((uint16_t)(end - ring->next) > ring->size)
		return "a ring has more requests than room";
	chain->in_count = 0;
	chain->out_count = 0;
	chain->head = __atomic_load_n(&ring->available->ring[ring->next % ring->size], __ATOMIC_RELAXED);

	const char *failed = read_chain(ring, memory, chain);

	if (failed != NULL)
		return failed;
	ring->next += 1;
	*taken = true;
	return NULL;
}

/* Requests are done in order, one at a time. So both rings are as far when one was put. */
void ring_put(struct ring *ring, const struct chain *chain, uint32_t written)
{
	const uint16_t at = (uint16_t)(ring->next - 1);

	ring->used->ring[at % ring->size] = (struct vring_used_elem){.id = chain->head, .len = written};
	__atomic_store_n(&ring->used->idx, ring->next, __ATOMIC_RELEASE);
}

static bool wants_call(const struct ring *ring)
{
	/* The guest writes its wish and reads the index; here the index was written, and the wish is read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!ring->has_events)
		return (__atomic_load_n(&ring->available->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT) == 0;

	const uint16_t event = __atomic_load_n(&ring->available->ring[ring->size], __ATOMIC_RELAXED);

	return vring_need_event(event, ring->next, ring->called) != 0;
}

void ring_call(struct ring *ring)
{
	const uint64_t one = 1;
	const bool wanted = ring->next != ring->called && wants_call(ring);

	ring->called = ring->next;
	/* It fails only where QEMU has given something else, and then the guest is not called. */
	if (wanted && ring->call >= 0 && write(ring->call, &one, sizeof(one)) < 0)
		return;
}

bool ring_await(struct ring *ring)
{
	/* The wish stands behind the last entry. Without such events, every request is kicked for. */
	if (ring->has_events) {
		uint8_t *const wish =
			(uint8_t *)ring->used + sizeof(struct vring_used) + ring->size * sizeof(struct vring_used_elem);

		__atomic_store_n((uint16_t *)(void *)wish, ring->next, __ATOMIC_RELAXED);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->available->idx, __ATOMIC_RELAXED) != ring->next;
}
