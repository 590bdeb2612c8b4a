/*
 * A device that QEMU has another process serve: the vhost-user protocol over a socket, and the rings in the guest's memory.
 * QEMU and its guest are not believed: what breaks the protocol ends the device.
 */
#ifndef VS_VHOST_DEVICE_H
#define VS_VHOST_DEVICE_H

#include "vhost/state.h"

/* A device on this socket, which stays the caller's. */
void device_open(struct device *device, int socket, device_serve serve, void *context);

/* Serves until QEMU closes the socket. NULL, or what has broken the protocol. */
const char *device_run(struct device *device);

/* Gives back the memory and the descriptors. */
void device_close(struct device *device);

#endif
