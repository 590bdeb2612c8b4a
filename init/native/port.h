/* The virtio-serial port that is the channel. */
#ifndef VS_PORT_H
#define VS_PORT_H

#include "util.h"

/* Starts to listen to the kernel's device events; to be called before anything could make a port appear. */
void port_listen(void);
/* Opens the port, waiting for it, bounded, where it is not there yet. -1 after saying why. */
int port_open(void);
/* Whether the opened port takes many pages as one buffer. */
bool port_can_splice(void);

#endif
