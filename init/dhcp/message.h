/*
 * DHCP messages, as bytes.
 *
 * https://www.rfc-editor.org/rfc/rfc2131 (messages), rfc2132 (options), rfc3396 (an option in parts), rfc3442
 * (classless routes)
 */
#ifndef VS_DHCP_MESSAGE_H
#define VS_DHCP_MESSAGE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_BYTES 6
#define MESSAGE_BYTES 576

#define DHCP_DISCOVER 1
#define DHCP_OFFER 2
#define DHCP_REQUEST 3
#define DHCP_ACK 5
#define DHCP_NAK 6

#define MAX_ROUTERS 4
#define MAX_ROUTES 32
#define MAX_SERVERS 8
#define MAX_DOMAIN_BYTES 253

/* The client, the same in every message of one exchange. */
struct client {
	uint32_t xid;
	uint8_t mac[MAC_BYTES];
	const char *hostname;
};

/* What a message of this client says besides. Addresses are in network order, 0 for none. */
struct request {
	uint8_t type;
	/* The address that is in use already. */
	struct in_addr current;
	/* The offered address, and the server that offered it. */
	struct in_addr wanted;
	struct in_addr server;
	/* Seconds since the exchange began. */
	uint16_t seconds;
};

struct route {
	struct in_addr target;
	struct in_addr gateway;
	uint8_t prefix;
};

/* What a server says. */
struct reply {
	uint8_t type;
	struct in_addr address;
	struct in_addr server;
	struct in_addr mask;
	struct in_addr broadcast;
	struct in_addr routers[MAX_ROUTERS];
	size_t router_count;
	struct route routes[MAX_ROUTES];
	size_t route_count;
	struct in_addr names[MAX_SERVERS];
	size_t name_count;
	char domain[MAX_DOMAIN_BYTES + 1];
	/* 0 if the server does not say. */
	uint16_t mtu;
	/* Seconds; UINT32_MAX is for ever, 0 if the server does not say. */
	uint32_t lease;
	uint32_t renewal;
	uint32_t rebinding;
};

/* Writes a message and returns its size. */
size_t message_write(uint8_t message[MESSAGE_BYTES], const struct client *client, const struct request *request);

/* Reads a server's message to this client. False for anything else. */
bool message_read(struct reply *reply, const uint8_t *message, size_t size, const struct client *client);

/* Counts the leading bits of a mask that are set. */
unsigned mask_prefix(struct in_addr mask);

#endif
