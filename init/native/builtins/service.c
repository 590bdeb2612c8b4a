#include "builtins/service.h"

#include "builtins/builtins.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#define MOST_PORT 65535

uint16_t service_port(const char *text)
{
	uint32_t port = builtin_number(text, MOST_PORT);

	if (port == 0)
		builtin_fail(EINVAL, "port %s", text);
	return (uint16_t)port;
}

union service_address service_at(int family, uint16_t port)
{
	if (family == AF_INET6)
		return (union service_address){.ip6 = {
						       .sin6_family = AF_INET6,
						       .sin6_port = htons(port),
						       .sin6_addr = IN6ADDR_LOOPBACK_INIT,
					       }};
	return (union service_address){.ip4 = {
					       .sin_family = AF_INET,
					       .sin_port = htons(port),
					       .sin_addr = {htonl(INADDR_LOOPBACK)},
				       }};
}

int service_socket(int family, int type)
{
	return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool service_connect(int fd, const union service_address *address)
{
	socklen_t size = address->any.sa_family == AF_INET ? sizeof(address->ip4) : sizeof(address->ip6);

	return connect(fd, &address->any, size) == 0;
}

static in_port_t port_of(const union service_address *address)
{
	return address->any.sa_family == AF_INET ? address->ip4.sin_port : address->ip6.sin6_port;
}

bool service_is_itself(int fd)
{
	union service_address local;
	union service_address peer;
	socklen_t local_size = sizeof(local);
	socklen_t peer_size = sizeof(peer);

	if (getsockname(fd, &local.any, &local_size) < 0)
		builtin_fail(errno, "getsockname");
	/* A connection that was reset at once has no peer. Reading tells that. */
	if (getpeername(fd, &peer.any, &peer_size) < 0)
		return false;
	/* Both addresses are the loopback's. */
	return port_of(&local) == port_of(&peer);
}

void service_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		builtin_fail(errno, "fcntl(O_NONBLOCK)");
}
