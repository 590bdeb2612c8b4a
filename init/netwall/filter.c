#include "filter.h"

#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <string.h>

#define AT_TYPE 12
#define ETHERNET_BYTES 14
/* passt ends at a longer one. */
#define MOST_BYTES 65535
#define ARP_BYTES 28

/* IPv4, RFC 791. */
#define AT_FRAGMENT 6
#define AT_PROTOCOL 9
#define AT_DESTINATION 16
#define LEAST_IPV4_BYTES 20
#define MORE_FRAGMENTS_OR_OFFSET 0x3fff

/* IPv6, RFC 8200. */
#define AT_NEXT_HEADER 6
#define AT_DESTINATION6 24
#define IPV6_HEADER_BYTES 40

/* TCP and UDP alike. */
#define AT_DESTINATION_PORT 2
#define PORTS_BYTES 4

#define PORT_DNS 53
#define PORT_DHCP 67

struct range {
	uint8_t bits;
	uint8_t address[IPV6_BYTES];
};

/*
 * Ranges that lead to the host itself, or to everybody on its links. On a cloud's machine the link-local address
 * 169.254.169.254 tells the host's own secrets.
 */
static const struct range ranges4[] = {
	{8, {0}},
	{8, {127}},
	{16, {169, 254}},
	{4, {224}},
	{32, {255, 255, 255, 255}},
	/* The same in Alibaba's cloud, and what Azure has beside it. */
	{32, {100, 100, 100, 200}},
	{32, {168, 63, 129, 16}},
};

/* The first two have IPv4 addresses in them, the loopback address, and no address at all. */
static const struct range ranges6[] = {
	{96, {0}},
	{96, {[10] = 0xff, [11] = 0xff}},
	{10, {0xfe, 0x80}},
	{8, {0xff}},
	/* The same at Amazon: fd00:ec2::254. */
	{128, {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}},
};

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static bool in_ranges(const struct range *ranges, size_t count, const uint8_t *address)
{
	for (size_t i = 0; i < count; i++) {
		if (same_prefix(ranges[i].address, address, ranges[i].bits))
			return true;
	}
	return false;
}

/* The destination port of TCP or UDP; 0 for anything else. */
static unsigned port_of(uint8_t protocol, const uint8_t *packet, size_t length)
{
	if ((protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) || length < PORTS_BYTES)
		return 0;
	return get16(packet + AT_DESTINATION_PORT);
}

static bool passes4(const struct filter *filter, const uint8_t *packet, size_t length)
{
	struct in_addr to;
	size_t header;

	if (length < LEAST_IPV4_BYTES || packet[0] >> 4 != 4)
		return false;
	header = (packet[0] & 0xf) * 4U;
	/* passt takes no fragments. */
	if (header < LEAST_IPV4_BYTES || header > length || get16(packet + AT_FRAGMENT) & MORE_FRAGMENTS_OR_OFFSET)
		return false;
	uint8_t protocol = packet[AT_PROTOCOL];
	unsigned port = port_of(protocol, packet + header, length - header);

	memcpy(&to, packet + AT_DESTINATION, sizeof(to));
	/* passt takes all of this port for DHCP, wherever it goes, and answers by itself. */
	if (to.s_addr == INADDR_BROADCAST || to.s_addr == filter->router.s_addr)
		return protocol == IPPROTO_UDP && port == PORT_DHCP;
	if (filter->resolver.s_addr != INADDR_ANY && to.s_addr == filter->resolver.s_addr)
		return port == PORT_DNS;
	return !in_ranges(ranges4, sizeof(ranges4) / sizeof(*ranges4), packet + AT_DESTINATION) &&
	       !addresses_have(&filter->addresses, AF_INET, packet + AT_DESTINATION);
}

/* Router and neighbour discovery, which passt answers by itself. */
static bool is_discovery(uint8_t protocol, const uint8_t *packet, size_t length)
{
	return protocol == IPPROTO_ICMPV6 && length > 0 && packet[0] >= ND_ROUTER_SOLICIT &&
	       packet[0] <= ND_NEIGHBOR_ADVERT;
}

static bool passes6(const struct filter *filter, const uint8_t *packet, size_t length)
{
	if (length < IPV6_HEADER_BYTES || packet[0] >> 4 != 6)
		return false;
	if (is_discovery(packet[AT_NEXT_HEADER], packet + IPV6_HEADER_BYTES, length - IPV6_HEADER_BYTES))
		return true;
	return !in_ranges(ranges6, sizeof(ranges6) / sizeof(*ranges6), packet + AT_DESTINATION6) &&
	       !addresses_have(&filter->addresses, AF_INET6, packet + AT_DESTINATION6);
}

bool filter_passes(const struct filter *filter, const uint8_t *frame, size_t length)
{
	if (length < ETHERNET_BYTES || length > MOST_BYTES)
		return false;
	const uint8_t *packet = frame + ETHERNET_BYTES;

	length -= ETHERNET_BYTES;
	switch (get16(frame + AT_TYPE)) {
	case ETHERTYPE_ARP:
		return length >= ARP_BYTES;
	case ETHERTYPE_IP:
		return passes4(filter, packet, length);
	case ETHERTYPE_IPV6:
		return passes6(filter, packet, length);
	default:
		return false;
	}
}
