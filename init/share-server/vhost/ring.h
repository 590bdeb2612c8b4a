/*
 * A split virtqueue (virtio 1.2, 2.7). It is in the guest's memory, which the guest may change at any time: each field is
 * read once, and what was read is checked.
 */
#ifndef VS_VHOST_RING_H
#define VS_VHOST_RING_H

#include "vhost/memory.h"

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* QEMU's own limit. */
#define RING_MOST 1024U

/* The parts of a request, and as many of its reply. */
#define CHAIN_PARTS 1024U

/* A request: what the guest has written, and the room for the reply, in its memory. */
struct chain {
	uint16_t head;
	size_t in_count;
	size_t out_count;
	struct iovec in[CHAIN_PARTS];
	struct iovec out[CHAIN_PARTS];
};

struct ring {
	/* As QEMU has told them. */
	uint32_t size;
	uint64_t descriptors_user;
	uint64_t available_user;
	uint64_t used_user;
	bool enabled;
	/* Event descriptors: the guest has put something here; something is there for the guest. -1: none. */
	int kick;
	int call;

	/* Where they are, once ring_resolve() has found them. */
	bool resolved;
	const struct vring_desc *descriptors;
	struct vring_avail *available;
	struct vring_used *used;
	uint16_t next;
	/* How far the guest was called for. */
	uint16_t called;
	/* VIRTIO_RING_F_EVENT_IDX and VIRTIO_RING_F_INDIRECT_DESC */
	bool has_events;
	bool has_indirect;
};

/* A ring that is not set up. */
void ring_clear(struct ring *ring);

/* Whether requests may be taken from it. */
bool ring_is_ready(const struct ring *ring);

/* Finds its parts in memory. False if they are not there as a whole. */
bool ring_resolve(struct ring *ring, const struct memory *memory);

/* Takes the next request, if there is one: *taken. NULL, or what is wrong with the ring. */
const char *ring_take(struct ring *ring, const struct memory *memory, struct chain *chain, bool *taken);

/* Gives a request back, with `written` bytes of reply. */
void ring_put(struct ring *ring, const struct chain *chain, uint32_t written);

/* Calls the guest, if it wants to be called for what was put since the last call. */
void ring_call(struct ring *ring);

/* Asks the guest for a kick at the next request. True if there is one already. */
bool ring_await(struct ring *ring);

#endif
