/* Virtio-serial ports, by name: the channel is one. */
#ifndef VS_PORT_H
#define VS_PORT_H

#include <stdbool.h>

/* Starts to listen to the kernel's device events; to be called before anything could make a port appear. */
void port_listen(void);
/* Finds the port of that name, waiting for it, bounded, where it is not there yet. False after saying why. */
bool port_find(const char *name);
/* The device of the port that was found, in /dev; it can be opened again when it was closed. */
const char *port_device(void);
/* Whether the port that was found takes many pages as one buffer. */
bool port_can_splice(void);

#endif
