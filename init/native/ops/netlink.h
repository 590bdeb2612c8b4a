/* Requests to the kernel's network configuration (rtnetlink). */
#ifndef VS_NETLINK_H
#define VS_NETLINK_H

#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

#define NETLINK_REQUEST_BYTES 512

struct netlink_request {
	struct nlmsghdr header;
	uint8_t body[NETLINK_REQUEST_BYTES - sizeof(struct nlmsghdr)];
};

/* Starts a request with its fixed part. */
void netlink_start(struct netlink_request *request, uint16_t type, uint16_t flags, const void *fixed, size_t size);
void netlink_attribute(struct netlink_request *request, uint16_t type, const void *data, size_t size);
/* Sends it and receives the kernel's answer, which comes at once. Returns 0 or an errno value. */
int netlink_send(struct netlink_request *request);
/*
 * Finds an interface's index. Returns 0 or an errno value. if_nametoindex() would make the kernel start modprobe for an
 * unknown name, and wait for it.
 */
int netlink_interface(const char *name, int *index);

#endif
