/* The addresses of this host: a packet to one of them never leaves it. */
#ifndef VS_ADDRESSES_H
#define VS_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPV4_BYTES 4
#define IPV6_BYTES 16

/* More prefixes than that are an error: what cannot be known cannot be kept out. */
#define MOST_PREFIXES 16384

struct prefix {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t bits;
	uint8_t address[IPV6_BYTES];
};

struct addresses {
	/* A socket of rtnetlink(7): it can be read when addresses may have changed. */
	int changes;
	int queries;
	size_t count;
	struct prefix prefixes[MOST_PREFIXES];
};

/* Reads the addresses, and has the kernel report changes. False after a message on stderr. */
bool addresses_open(struct addresses *addresses);

/* Takes the reports that have come, and reads the addresses again if one is about them. False after a message. */
bool addresses_follow(struct addresses *addresses);

/* Whether an address is one of the host's, or a broadcast or anycast address of its networks. */
bool addresses_have(const struct addresses *addresses, uint8_t family, const uint8_t *address);

/* Whether the first `bits` bits are the same. */
bool same_prefix(const uint8_t *one, const uint8_t *other, unsigned bits);

#endif
