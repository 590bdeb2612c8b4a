/* What QEMU asks of a device, and tells it: one message at a time. */
#ifndef VS_VHOST_PROTOCOL_H
#define VS_VHOST_PROTOCOL_H

#include "vhost/state.h"

#include <stdbool.h>

/* Reads a message and does what it says. *end: the socket is closed. NULL, or what is wrong with it. */
const char *protocol_step(struct device *device, bool *end);

#endif
