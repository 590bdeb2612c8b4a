/* Keeping a lease for as long as the machine runs. */
#ifndef VS_DHCP_RENEW_H
#define VS_DHCP_RENEW_H

#include "exchange.h"

/* True for a lease that ends some day. */
bool lease_ends(const struct reply *lease);

/*
 * Goes on as a process of its own, without privileges, that asks for more time whenever half of it is over. It ends when the lease
 * does. False with a line on stderr when it could not be started.
 */
bool renew_in_background(struct port *port, struct reply *lease, const char *interface);

#endif
