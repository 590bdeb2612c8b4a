/*
 * The kernel's answers and reports to netwall: which addresses are the host's.
 *
 * What must hold: prefixes are possible ones, and looking an address up stays inside them.
 */
#include "addresses.h"

#include "harness/check.h"
#include "harness/input.h"
#include "harness/state.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Descriptors that no process has. Those of queries answer, and the one of changes reports. */
#define CHANGES 6000
#define QUERIES 6001

static struct input answers;
static int sockets;

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	(void)type;
	(void)protocol;
	check(family == AF_NETLINK, "a netlink socket");
	return CHANGES + sockets++;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	(void)fd;
	(void)address;
	(void)size;
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)size;
	return 0;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
	(void)fd;
	(void)data;
	(void)flags;
	return (ssize_t)size;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	struct piece answer = input_piece(&answers);

	if (answer.size == 0) {
		errno = (flags & MSG_DONTWAIT) != 0 ? EAGAIN : ENOBUFS;
		return -1;
	}
	check(fd == CHANGES || fd == QUERIES, "one of its sockets");
	memset(to, 0xaa, size);
	memcpy(to, answer.data, answer.size < size ? answer.size : size);
	return (ssize_t)answer.size;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	return fd >= CHANGES ? 0 : __real_close(fd);
}

void __wrap_log_line(const char *text);
void __wrap_log_line(const char *text)
{
	(void)text;
}

void __wrap_log_errno(const char *what);
void __wrap_log_errno(const char *what)
{
	(void)what;
}

static void look_up(const struct addresses *addresses, const uint8_t *exact)
{
	check(addresses->count <= MOST_PREFIXES, "prefixes have room");
	for (size_t i = 0; i < addresses->count; i++) {
		const struct prefix *prefix = &addresses->prefixes[i];

		check(prefix->family == AF_INET || prefix->family == AF_INET6, "a prefix is of IPv4 or IPv6");
		check(prefix->bits <= (prefix->family == AF_INET ? 32 : 128), "a prefix is not longer than an address");
		check(addresses_have(addresses, prefix->family, prefix->address), "a prefix contains its address");
	}
	(void)addresses_have(addresses, AF_INET, exact);
	(void)addresses_have(addresses, AF_INET6, exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct addresses addresses;
	uint8_t *exact;

	addresses.count = 0;
	answers = (struct input){data, size};
	sockets = 0;
	exact = input_exact(data, size < IPV6_BYTES ? 0 : IPV6_BYTES);
	if (addresses_open(&addresses) && size >= IPV6_BYTES) {
		look_up(&addresses, exact);
		if (addresses_follow(&addresses))
			look_up(&addresses, exact);
	}
	free(exact);
	return 0;
}
