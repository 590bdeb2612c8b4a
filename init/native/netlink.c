#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags, const void *fixed, size_t size)
{
	memset(request, 0, sizeof *request);
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	request->header.nlmsg_seq = 1;
	memcpy(request->body, fixed, size);
	request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
}

void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data, size_t size)
{
	uint32_t start = NLMSG_ALIGN(request->header.nlmsg_len);
	struct rtattr attribute = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};
	uint8_t *at = (uint8_t *)request + start;

	/* All requests here are far smaller; one that is not is sent without the attribute, and the kernel refuses it. */
	if (start + RTA_SPACE(size) > sizeof *request)
		return;
	memcpy(at, &attribute, sizeof attribute);
	memcpy(at + RTA_LENGTH(0), data, size);
	request->header.nlmsg_len = start + attribute.rta_len;
}

int netlink_send(struct netlink_request *request)
{
	union {
		struct nlmsghdr header;
		uint8_t bytes[4096];
	} answer;
	struct nlmsgerr result;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t size;
	int error = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return errno;
	if (sendto(fd, request, request->header.nlmsg_len, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0) {
		error = errno;
		goto out;
	}
	/* The request is carried out within sendto(), so its answer is there: no wait to bound. */
	size = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
	if (size < 0) {
		error = errno;
	} else if ((size_t)size < NLMSG_LENGTH(sizeof result) || answer.header.nlmsg_type != NLMSG_ERROR) {
		error = EPROTO;
	} else {
		memcpy(&result, answer.bytes + NLMSG_LENGTH(0), sizeof result);
		error = -result.error;
	}
out:
	close_fd(&fd);
	return error;
}
