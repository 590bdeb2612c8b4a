/* Exchanges with a server: requests until a reply comes. */
#ifndef VS_DHCP_EXCHANGE_H
#define VS_DHCP_EXCHANGE_H

#include "message.h"

/* An interface, and the socket that is bound to it. */
struct port {
	int fd;
	struct client client;
};

/* Opens a socket for an Ethernet interface that is up. False with a line on stderr. */
bool port_open(struct port *port, const char *interface, const char *hostname);

/* Milliseconds since the machine started, suspended time included. */
uint64_t now_ms(void);

enum outcome { OUTCOME_LEASE, OUTCOME_SILENCE, OUTCOME_REFUSED, OUTCOME_BROKEN };

/* Gets a lease from any server that offers one. OUTCOME_BROKEN comes with a line on stderr. */
enum outcome obtain_lease(struct port *port, struct reply *lease, uint64_t deadline);

/* Extends a lease: asks its server, or with `anyone` every server. *lease becomes what the server says now. */
enum outcome extend_lease(struct port *port, struct reply *lease, bool anyone, uint64_t deadline);

#endif
