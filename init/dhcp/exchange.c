#include "exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVER_PORT 67
#define CLIENT_PORT 68

/*
 * A wait for a reply, and how long all waits are as short as the first: a bridge with the spanning tree protocol, as
 * that of libvirt's default network, passes nothing for four seconds. Each later wait is twice as long, up to the limit.
 */
#define FIRST_WAIT_MS 1000
#define EAGER_MS 8000
#define MOST_WAIT_MS 8000

/* Larger than any Ethernet frame. */
#define RECEIVE_BYTES 65536

uint64_t now_ms(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_BOOTTIME, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool failed(const char *interface, const char *step)
{
	(void)fprintf(stderr, "%s(%s): %s\n", step, interface, strerror(errno));
	return false;
}

static bool read_hardware(struct port *port, const char *interface)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, interface, strlen(interface));
	if (ioctl(port->fd, SIOCGIFHWADDR, &request) < 0)
		return failed(interface, "ioctl(SIOCGIFHWADDR)");
	if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		errno = EAFNOSUPPORT;
		return failed(interface, "hardware address");
	}
	memcpy(port->client.mac, request.ifr_hwaddr.sa_data, MAC_BYTES);
	return true;
}

static bool bind_port(const struct port *port, const char *interface)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	const int yes = 1;

	/* Each interface has its own client, and all clients use this port. */
	if (setsockopt(port->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    setsockopt(port->fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes)) < 0)
		return failed(interface, "setsockopt");
	if (setsockopt(port->fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) < 0)
		return failed(interface, "setsockopt(SO_BINDTODEVICE)");
	if (bind(port->fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return failed(interface, "bind(port 68)");
	return true;
}

bool port_open(struct port *port, const char *interface, const char *hostname)
{
	*port = (struct port){.fd = -1, .client = {.hostname = hostname}};
	if (strlen(interface) >= IF_NAMESIZE) {
		errno = ENAMETOOLONG;
		return failed(interface, "interface");
	}
	/*
	 * An ordinary socket works without an address too, because the request asks the server to reply by broadcast.
	 */
	port->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (port->fd < 0)
		return failed(interface, "socket");
	return read_hardware(port, interface) && bind_port(port, interface);
}

/* A new number, which no late reply to an earlier exchange has. */
static bool new_exchange(struct port *port)
{
	if (getrandom(&port->client.xid, sizeof(port->client.xid), 0) == (ssize_t)sizeof(port->client.xid))
		return true;
	(void)fprintf(stderr, "getrandom: %s\n", strerror(errno));
	return false;
}

static bool send_request(const struct port *port, const struct request *request, struct in_addr to)
{
	uint8_t message[MESSAGE_BYTES];
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT), .sin_addr = to};
	size_t size = message_write(message, &port->client, request);

	if (sendto(port->fd, message, size, 0, (const struct sockaddr *)&address, sizeof(address)) >= 0)
		return true;
	/* Temporary errors, and errors that an earlier packet met: the request goes out again in a second. */
	if (errno == ENOBUFS || errno == EAGAIN || errno == ECONNREFUSED || errno == EHOSTUNREACH ||
	    errno == ENETUNREACH)
		return true;
	(void)fprintf(stderr, "sendto(%s, port 67): %s\n", inet_ntoa(to), strerror(errno));
	return false;
}

/* Waits until `until` for a server's message in this exchange. */
static enum outcome receive_reply(const struct port *port, struct reply *reply, uint64_t until)
{
	static uint8_t message[RECEIVE_BYTES];

	for (;;) {
		struct pollfd wait = {.fd = port->fd, .events = POLLIN};
		uint64_t now = now_ms();
		ssize_t size = recv(port->fd, message, sizeof(message), 0);

		if (size >= 0) {
			if (message_read(reply, message, (size_t)size, &port->client))
				return OUTCOME_LEASE;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED) {
			(void)fprintf(stderr, "recv(port 68): %s\n", strerror(errno));
			return OUTCOME_BROKEN;
		}
		if (now >= until)
			return OUTCOME_SILENCE;
		(void)poll(&wait, 1, (int)(until - now));
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Sends a request again and again until a server gives a reply of that type. OUTCOME_REFUSED for a NAK. */
static enum outcome ask(struct port *port, struct request *request, struct in_addr to, uint8_t type,
			struct reply *reply, uint64_t deadline)
{
	uint64_t start = now_ms();
	uint64_t wait = FIRST_WAIT_MS;

	for (uint64_t now = start; now < deadline; now = now_ms()) {
		uint64_t until = earlier(now + wait, deadline);
		enum outcome outcome;

		request->seconds = (uint16_t)((now - start) / 1000);
		if (!send_request(port, request, to))
			return OUTCOME_BROKEN;
		while ((outcome = receive_reply(port, reply, until)) == OUTCOME_LEASE) {
			if (reply->type == DHCP_NAK && request->type == DHCP_REQUEST)
				return OUTCOME_REFUSED;
			if (reply->type == type && reply->address.s_addr != 0 && reply->server.s_addr != 0)
				return OUTCOME_LEASE;
		}
		if (outcome == OUTCOME_BROKEN)
			return outcome;
		if (now - start >= EAGER_MS)
			wait = earlier(wait * 2, MOST_WAIT_MS);
	}
	return OUTCOME_SILENCE;
}

enum outcome obtain_lease(struct port *port, struct reply *lease, uint64_t deadline)
{
	const struct in_addr everybody = {.s_addr = htonl(INADDR_BROADCAST)};
	enum outcome outcome = OUTCOME_SILENCE;
	bool refused = false;

	while (now_ms() < deadline) {
		struct request discover = {.type = DHCP_DISCOVER};
		struct request request = {.type = DHCP_REQUEST};
		struct reply offer;

		if (!new_exchange(port))
			return OUTCOME_BROKEN;
		outcome = ask(port, &discover, everybody, DHCP_OFFER, &offer, deadline);
		if (outcome != OUTCOME_LEASE)
			break;
		request.wanted = offer.address;
		request.server = offer.server;
		/* Do not wait for a server that offers and then falls silent: there may be others. */
		outcome = ask(port, &request, everybody, DHCP_ACK, lease, earlier(deadline, now_ms() + MOST_WAIT_MS));
		if (outcome == OUTCOME_LEASE || outcome == OUTCOME_BROKEN)
			return outcome;
		refused = refused || outcome == OUTCOME_REFUSED;
		/* The pause keeps a client and a server that disagree from talking without end. */
		(void)poll(NULL, 0, FIRST_WAIT_MS);
	}
	return outcome == OUTCOME_SILENCE && refused ? OUTCOME_REFUSED : outcome;
}

enum outcome extend_lease(struct port *port, struct reply *lease, bool anyone, uint64_t deadline)
{
	struct in_addr to = {.s_addr = htonl(INADDR_BROADCAST)};
	struct request request = {.type = DHCP_REQUEST, .current = lease->address};
	struct reply reply;
	enum outcome outcome;

	if (!anyone)
		to = lease->server;
	if (!new_exchange(port))
		return OUTCOME_BROKEN;
	outcome = ask(port, &request, to, DHCP_ACK, &reply, deadline);
	if (outcome == OUTCOME_LEASE && reply.address.s_addr != lease->address.s_addr)
		return OUTCOME_REFUSED;
	if (outcome == OUTCOME_LEASE)
		*lease = reply;
	return outcome;
}
