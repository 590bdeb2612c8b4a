/* Keeps a lease for as long as the machine runs. */
#ifndef VS_DHCP_RENEW_H
#define VS_DHCP_RENEW_H

#include "exchange.h"

/* True for a lease that ends some day. */
bool lease_ends(const struct reply *lease);

/*
 * Starts a process without privileges that extends the lease whenever half of it is over, and ends with the lease.
 * False with a line on stderr if that fails.
 */
bool renew_in_background(struct port *port, struct reply *lease, const char *interface);

#endif
