/* Virtio-serial ports, by name: the channel is one. */
#ifndef VS_PORT_H
#define VS_PORT_H

#include "util.h"

/* Starts to listen to the kernel's device events; to be called before anything could make a port appear. */
void port_listen(void);
/* Finds the port of that name, waiting for it, bounded, where it is not there yet. False after saying why. */
bool port_find(const char *name);
/* Opens the port that was found, non-blocking; it can be opened again when it was closed. -1 after saying why. */
int port_open(void);
/* Whether the port that was found takes many pages as one buffer. */
bool port_can_splice(void);

#endif
