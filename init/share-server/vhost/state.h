/* What a device is: its connection, what was agreed on with QEMU, the guest's memory and the rings in it. */
#ifndef VS_VHOST_STATE_H
#define VS_VHOST_STATE_H

#include "vhost/memory.h"
#include "vhost/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The queue of what is urgent, and one of requests: all that QEMU has for a vhost-user-fs unless it is told otherwise. */
#define DEVICE_RINGS 2U

/* Serves one request. Returns how many bytes of reply were written into `chain->out`. */
typedef uint32_t (*device_serve)(void *context, const struct chain *chain);

struct device {
	/* Connected to QEMU. */
	int socket;
	/* device.h */
	bool is_saved;
	device_serve serve;
	void *context;

	/* What follows is the device's own. */
	uint64_t protocol_features;
	struct memory memory;
	struct ring rings[DEVICE_RINGS];
	struct chain chain;
};

#endif
