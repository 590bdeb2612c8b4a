/* Which frames of the machine may reach passt. */
#ifndef VS_FILTER_H
#define VS_FILTER_H

#include "addresses.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter {
	/* passt answers DHCP at this address. Nothing else is behind it. */
	struct in_addr router;
	/* passt sends what goes to port 53 of this address to the host's name server. INADDR_ANY: there is none. */
	struct in_addr resolver;
	struct addresses addresses;
};

/*
 * Whether a frame may pass: an ARP request, DHCP, neighbour discovery, DNS, and an IP packet to an address that is not
 * the host's. passt decides by destination and port alone, so nothing else is looked at.
 */
bool filter_passes(const struct filter *filter, const uint8_t *frame, size_t length);

#endif
