/* The services of the sandbox that connect and connect-udp reach: at a port of its loopback. A failure ends the program. */
#ifndef VS_BUILTIN_SERVICE_H
#define VS_BUILTIN_SERVICE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

union service_address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
};

/* Reads 1 to 65535. */
uint16_t service_port(const char *text);

/* Loopback of AF_INET or AF_INET6. */
union service_address service_at(int family, uint16_t port);

/* Does not block, and is closed by execve. -1 with errno. */
int service_socket(int family, int type);

/* False with errno, which may be EINPROGRESS. */
bool service_connect(int fd, const union service_address *address);

/*
 * Whether a socket is connected to itself. The kernel may choose the very port that it connects to, if nobody listens
 * there.
 */
bool service_is_itself(int fd);

void service_set_nonblocking(int fd);

#endif
