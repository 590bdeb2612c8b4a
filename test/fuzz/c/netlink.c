/*
 * The kernel's answers to the native init, which the kernel of a guest or of the host gives.
 *
 * What must hold: the result is 0 or an errno value, because a caller takes -1 for a call that goes on; of an interface
 * that was found, the answer holds the index.
 */
#include "ops/netlink.h"
#include "harness/check.h"
#include "harness/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

/* A descriptor that no process has. */
#define SOCKET 6000

static struct input answers;

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	(void)type;
	(void)protocol;
	check(family == AF_NETLINK, "a netlink socket");
	return SOCKET;
}

ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size);
ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
	const struct nlmsghdr *request = data;

	(void)flags;
	(void)to;
	(void)to_size;
	check(fd == SOCKET && size <= NETLINK_REQUEST_BYTES && request->nlmsg_len == size, "a request has its length");
	return (ssize_t)size;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	struct piece answer = input_piece(&answers);

	(void)fd;
	(void)flags;
	if (answer.size == 0) {
		errno = EAGAIN;
		return -1;
	}
	/* What the program has of an earlier answer is gone. */
	memset(to, 0xaa, size);
	if (answer.size < size)
		size = answer.size;
	memcpy(to, answer.data, size);
	return (ssize_t)size;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	return fd == SOCKET ? 0 : __real_close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ifinfomsg fixed = {.ifi_family = AF_UNSPEC};
	struct netlink_request request;
	int index = 0;
	int error;

	answers = (struct input){data, size};
	struct piece name = input_piece(&answers);
	char *text = input_string(name.data, name.size);

	error = netlink_interface(text, &index);
	check(error >= 0 && error < 4096, "the result is an errno value");
	netlink_start(&request, RTM_NEWADDR, 0, &fixed, sizeof(fixed));
	/* An attribute that does not fit is left out. */
	netlink_attribute(&request, IFLA_IFNAME, text, strlen(text));
	netlink_attribute(&request, IFLA_IFALIAS, text, strlen(text));
	error = netlink_send(&request);
	check(error >= 0 && error < 4096, "the result is an errno value");
	free(text);
	return 0;
}
