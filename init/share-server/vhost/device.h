/*
 * A device that QEMU has another process serve: the vhost-user protocol over a socket, and the rings in the guest's memory.
 * QEMU and its guest are not believed: what breaks the protocol ends the device.
 */
#ifndef VS_VHOST_DEVICE_H
#define VS_VHOST_DEVICE_H

#include "vhost/state.h"

#include <stdbool.h>

/*
 * A device on this socket, which stays the caller's.
 *
 * is_saved: of a machine that is saved. QEMU saves none with a device that cannot log which pages it writes to, for those
 * that were sent already. Here none is sent, since the memory is a file, and nothing is written, since the guest makes no
 * request: one that does, ends the device. So the log is not kept. A device whose machine runs a sandbox offers none, and
 * QEMU refuses to migrate it.
 */
void device_open(struct device *device, int socket, bool is_saved, device_serve serve, void *context);

/* Serves until QEMU closes the socket. NULL, or what has broken the protocol. */
const char *device_run(struct device *device);

/* Gives back the memory and the descriptors. */
void device_close(struct device *device);

#endif
