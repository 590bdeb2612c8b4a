/*
 * The common init under Node in this machine, if the initrd carries one. It is then this init's host, on a socket pair,
 * and it holds the launcher's port.
 */
#ifndef VS_NODE_INIT_H
#define VS_NODE_INIT_H

#include <stdbool.h>

/* Whether the initrd carries one. Ask before the root is switched. */
bool node_init_present(void);
/* Whether it was started. */
bool node_init_active(void);
/* Starts it and hands it the port. Returns this init's end of the socket pair, or -1 after logging why. */
int node_init_start(int port);
/*
 * Call it when the application has ended and its output was sent. Waits until the port has taken everything, and
 * returns the port, non-blocking.
 */
int node_init_finish(int channel);

#endif
