/* The virtio-serial port that is the channel. */
#ifndef VS_PORT_H
#define VS_PORT_H

/* Starts to listen to the kernel's device events; to be called before anything could make a port appear. */
void port_listen(void);
/* Opens the port, waiting for it, bounded, where it is not there yet. -1 after saying why. */
int port_open(void);

#endif
