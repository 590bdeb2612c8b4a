/* The common init in this machine, where the initrd carries one: then it is the host that this init serves, on a socket pair, and it has the
 * launcher's port. */
#ifndef VS_COMMON_H
#define VS_COMMON_H

#include <stdbool.h>

/* Only before the root is switched. */
bool node_init_present(void);
/* Whether it was started. */
bool node_init_active(void);
/* Starts it and gives it the port; returns the end of the socket pair that is this init's channel, or -1 after saying why. */
int node_init_start(int port);
/* The application has ended and its output was sent: waits until all of it is in the port, and returns the port, non-blocking. */
int node_init_finish(int channel);

#endif
