/*
 * What the kernel delivers to the host itself stands in its routing tables, as routes of the types local, broadcast and
 * anycast. Not every such address is that of an interface: a route may make a whole network local. rtnetlink(7)
 */
#include "addresses.h"

#include "log.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY_BYTES 32768

/* How often to ask again if the tables change while they are read. */
#define TRIES 16

/* linux/netlink.h of old systems lacks it. Kernels before 4.20 do not know it, and answer with all routes. */
#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

static const uint8_t types[] = {RTN_LOCAL, RTN_BROADCAST, RTN_ANYCAST};
static const uint8_t families[] = {AF_INET, AF_INET6};

static bool is_of_host(uint8_t type)
{
	return memchr(types, type, sizeof(types)) != NULL;
}

static int netlink_open(uint32_t groups)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	log_errno("netlink");
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* Appends the destination of a route. False if there is no room. */
static bool take(struct addresses *addresses, const struct nlmsghdr *message)
{
	const struct rtmsg *route = NLMSG_DATA(message);
	/* Signed: the last attribute may leave less than nothing, since it is padded. */
	int left = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof(*route)));
	size_t bytes = route->rtm_family == AF_INET ? IPV4_BYTES : IPV6_BYTES;

	if (!is_of_host(route->rtm_type) || (route->rtm_family != AF_INET && route->rtm_family != AF_INET6))
		return true;
	/* One to everything in a table that only a mark chooses, as for TPROXY. passt's packets have none. */
	if (route->rtm_dst_len == 0 && route->rtm_table != RT_TABLE_LOCAL && route->rtm_table != RT_TABLE_MAIN &&
	    route->rtm_table != RT_TABLE_DEFAULT)
		return true;
	if (addresses->count == MOST_PREFIXES)
		return false;
	struct prefix *prefix = &addresses->prefixes[addresses->count];

	/* A route without a destination is one to everything. */
	memset(prefix, 0, sizeof(*prefix));
	prefix->family = route->rtm_family;
	for (const struct rtattr *at = RTM_RTA(route); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type != RTA_DST || RTA_PAYLOAD(at) < bytes || route->rtm_dst_len > bytes * 8)
			continue;
		prefix->bits = route->rtm_dst_len;
		memcpy(prefix->address, RTA_DATA(at), bytes);
	}
	addresses->count++;
	return true;
}

enum answer { ANSWER_MORE, ANSWER_DONE, ANSWER_CHANGED, ANSWER_FAILED };

/* Reads a part of the answer to a query. */
static enum answer take_part(struct addresses *addresses)
{
	static _Alignas(struct nlmsghdr) uint8_t reply[REPLY_BYTES];
	ssize_t n;

	do {
		n = recv(addresses->queries, reply, sizeof(reply), MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0 || n > (ssize_t)sizeof(reply)) {
		log_errno("reading the routes");
		return ANSWER_FAILED;
	}
	int left = (int)n;
	enum answer answer = ANSWER_MORE;

	for (const struct nlmsghdr *at = (void *)reply; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
		if (at->nlmsg_flags & NLM_F_DUMP_INTR)
			answer = ANSWER_CHANGED;
		if (at->nlmsg_type == NLMSG_DONE)
			return answer == ANSWER_CHANGED ? answer : ANSWER_DONE;
		if (at->nlmsg_type == NLMSG_ERROR) {
			log_line("the kernel does not tell its routes");
			return ANSWER_FAILED;
		}
		if (at->nlmsg_type == RTM_NEWROUTE && at->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) &&
		    !take(addresses, at)) {
			log_line("this host has too many addresses");
			return ANSWER_FAILED;
		}
	}
	return answer;
}

static enum answer query(struct addresses *addresses, uint8_t family, uint8_t type)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETROUTE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.route = {.rtm_family = family, .rtm_type = type},
	};
	bool changed = false;

	if (send(addresses->queries, &request, sizeof(request), 0) != (ssize_t)sizeof(request)) {
		log_errno("asking for the routes");
		return ANSWER_FAILED;
	}
	for (;;) {
		enum answer answer = take_part(addresses);

		/* The rest of an answer that has changed must be read too. */
		changed |= answer == ANSWER_CHANGED;
		if (answer == ANSWER_DONE || answer == ANSWER_FAILED)
			return answer == ANSWER_DONE && changed ? ANSWER_CHANGED : answer;
	}
}

static bool read_all(struct addresses *addresses)
{
	for (int tries = 0; tries < TRIES; tries++) {
		bool changed = false;

		addresses->count = 0;
		for (size_t family = 0; family < sizeof(families); family++) {
			for (size_t type = 0; type < sizeof(types); type++) {
				enum answer answer = query(addresses, families[family], types[type]);

				if (answer == ANSWER_FAILED)
					return false;
				changed |= answer == ANSWER_CHANGED;
			}
		}
		if (!changed)
			return true;
	}
	log_line("the routes change too fast to be read");
	return false;
}

bool addresses_open(struct addresses *addresses)
{
	const int yes = 1;

	/* Reports come first, so that no change falls between. */
	addresses->changes = netlink_open(RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
	addresses->queries = netlink_open(0);
	if (addresses->changes < 0 || addresses->queries < 0)
		return false;
	(void)setsockopt(addresses->queries, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	return read_all(addresses);
}

/* Whether a report is about an address of the host. */
static bool concerns(const uint8_t *report, size_t length)
{
	int left = (int)length;

	for (const struct nlmsghdr *at = (const void *)report; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
		const struct rtmsg *route = NLMSG_DATA(at);

		if (at->nlmsg_len < NLMSG_LENGTH(sizeof(*route)) || is_of_host(route->rtm_type))
			return true;
	}
	return false;
}

bool addresses_follow(struct addresses *addresses)
{
	static _Alignas(struct nlmsghdr) uint8_t report[REPLY_BYTES];
	bool changed = false;

	for (;;) {
		ssize_t n = recv(addresses->changes, report, sizeof(report), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		/* ENOBUFS: more has happened than the socket could hold. */
		if (n < 0 && errno != ENOBUFS) {
			log_errno("reading the changes of routes");
			return false;
		}
		changed |= n < 0 || n > (ssize_t)sizeof(report) || concerns(report, (size_t)n);
	}
	return !changed || read_all(addresses);
}

bool same_prefix(const uint8_t *one, const uint8_t *other, unsigned bits)
{
	unsigned bytes = bits / 8;

	if (memcmp(one, other, bytes) != 0)
		return false;
	return bits % 8 == 0 || (one[bytes] ^ other[bytes]) >> (8 - bits % 8) == 0;
}

bool addresses_have(const struct addresses *addresses, uint8_t family, const uint8_t *address)
{
	for (size_t i = 0; i < addresses->count; i++) {
		const struct prefix *prefix = &addresses->prefixes[i];

		if (prefix->family == family && same_prefix(prefix->address, address, prefix->bits))
			return true;
	}
	return false;
}
