#include "ops/netlink.h"

#include "util/fd.h"

#include <errno.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of every kernel, in include/linux/err.h. */
#define MAX_ERRNO 4095

void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags, const void *fixed, size_t size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	request->header.nlmsg_seq = 1;
	memcpy(request->body, fixed, size);
	request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
}

void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data, size_t size)
{
	uint32_t start = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};
	uint8_t *at = (uint8_t *)request + start;

	/* Requests are far smaller. If one is not, it lacks the attribute, and the kernel refuses it. */
	if (start + RTA_SPACE(size) > sizeof(*request))
		return;
	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + RTA_LENGTH(0), data, size);
	request->header.nlmsg_len = start + attribute.rta_len;
}

union answer {
	struct nlmsghdr header;
	uint8_t bytes[8192];
};

/* The kernel reports 0 or a negative errno value. Callers take other numbers for something else than an error. */
static int error_of(const union answer *answer)
{
	struct nlmsgerr result;

	memcpy(&result, answer->bytes + NLMSG_LENGTH(0), sizeof(result));
	return result.error > 0 || result.error < -MAX_ERRNO ? EPROTO : -result.error;
}

/*
 * Sends a request and receives the first message of the answer, which may be an error too. Returns 0 or an errno value.
 */
static int exchange(const struct netlink_request *request, union answer *answer)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t size;
	int error = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return errno;
	/* The kernel handles the request within sendto(), so the answer is there on return: no wait needs a limit. */
	if (sendto(fd, request, request->header.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0 ||
	    (size = recv(fd, answer, sizeof(*answer), MSG_DONTWAIT)) < 0)
		error = errno;
	else if ((size_t)size < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		error = EPROTO;
	if (error == 0 && answer->header.nlmsg_type == NLMSG_ERROR)
		error = error_of(answer);
	fd_close(&fd);
	return error;
}

int netlink_send(struct netlink_request *request)
{
	static union answer answer;

	request->header.nlmsg_flags |= NLM_F_ACK;
	return exchange(request, &answer);
}

int netlink_interface(const char *name, int *index)
{
	static union answer answer;
	const struct ifinfomsg fixed = {.ifi_family = AF_UNSPEC};
	struct ifinfomsg found;
	struct netlink_request request;
	size_t size = strlen(name) + 1;
	int error;

	if (size == 1 || size > IF_NAMESIZE)
		return ENODEV;
	netlink_start(&request, RTM_GETLINK, 0, &fixed, sizeof(fixed));
	netlink_attribute(&request, IFLA_IFNAME, name, size);
	error = exchange(&request, &answer);
	if (error != 0)
		return error;
	if (answer.header.nlmsg_type != RTM_NEWLINK)
		return EPROTO;
	memcpy(&found, answer.bytes + NLMSG_LENGTH(0), sizeof(found));
	*index = found.ifi_index;
	return 0;
}
