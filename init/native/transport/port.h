/* Virtio-serial ports, by name. The channel is one. */
#ifndef VS_PORT_H
#define VS_PORT_H

#include <stdbool.h>

/* Starts to listen to the kernel's device events. Call it before anything can make a port appear. */
void port_listen(void);
/* Finds the port of that name, and waits for it within a time limit. False after logging why. */
bool port_find(const char *name);
/* The found port's device in /dev. It can be opened again after it was closed. */
const char *port_device(void);
/* Whether the found port takes many pages as one buffer. */
bool port_can_splice(void);

#endif
