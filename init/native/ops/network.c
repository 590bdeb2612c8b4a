/* Operations on network interfaces. */
#include "ops/operations.h"

#include "ops/netlink.h"
#include "util/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct ip_address {
	uint8_t family;
	uint8_t bits;
	uint8_t size;
	uint8_t bytes[16];
};

static bool parse_ip(struct ip_address *ip, const char *text)
{
	*ip = (struct ip_address){.family = AF_INET, .bits = 32, .size = 4};
	if (inet_pton(AF_INET, text, ip->bytes) == 1)
		return true;
	*ip = (struct ip_address){.family = AF_INET6, .bits = 128, .size = 16};
	return inet_pton(AF_INET6, text, ip->bytes) == 1;
}

int op_link_up(struct call *call)
{
	const char *interface = read_str(&call->arguments);
	int error = call_arguments(call);
	struct ifreq request = {0};
	int fd;

	if (error != 0)
		return error;
	if (strlen(interface) >= sizeof(request.ifr_name))
		return call_fail(call, ENODEV, "interface(%s)", interface);
	memcpy(request.ifr_name, interface, strlen(interface));
	/* An emulated kernel takes 10 ms longer by netlink. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return call_fail(call, errno, "socket(AF_INET)");
	error = ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? errno : 0;
	request.ifr_flags |= IFF_UP;
	if (error == 0 && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		error = errno;
	fd_close(&fd);
	return error == 0 ? 0 : call_fail(call, error, "link_up(%s)", interface);
}

int op_address(struct call *call)
{
	struct reader *from = &call->arguments;
	const char *interface = read_str(from);
	const char *address = read_str(from);
	uint32_t prefix = read_u32(from);
	const char *broadcast = read_str(from);
	int error = call_arguments(call);
	struct ifaddrmsg fixed = {.ifa_scope = RT_SCOPE_UNIVERSE};
	struct netlink_request request;
	struct ip_address ip;
	struct ip_address all;
	int index;

	if (error != 0)
		return error;
	if (!parse_ip(&ip, address) || prefix > ip.bits)
		return call_fail(call, EINVAL, "address(%s, %s/%u)", interface, address, prefix);
	if (broadcast[0] != '\0' && (!parse_ip(&all, broadcast) || all.family != AF_INET || ip.family != AF_INET))
		return call_fail(call, EINVAL, "address(%s, %s/%u, broadcast %s)", interface, address, prefix,
				 broadcast);
	fixed.ifa_family = ip.family;
	fixed.ifa_prefixlen = (uint8_t)prefix;
	/*
	 * Nobody else assigns addresses on this link, and duplicate detection would make this one useless for a second.
	 */
	fixed.ifa_flags = ip.family == AF_INET6 ? IFA_F_NODAD : 0;
	error = netlink_interface(interface, &index);
	if (error != 0)
		return call_fail(call, error, "interface(%s)", interface);
	fixed.ifa_index = (uint32_t)index;
	netlink_start(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &fixed, sizeof(fixed));
	netlink_attribute(&request, IFA_LOCAL, ip.bytes, ip.size);
	netlink_attribute(&request, IFA_ADDRESS, ip.bytes, ip.size);
	if (broadcast[0] != '\0')
		netlink_attribute(&request, IFA_BROADCAST, all.bytes, all.size);
	error = netlink_send(&request);
	if (error != 0)
		return call_fail(call, error, "address(%s, %s/%u)", interface, address, prefix);
	return 0;
}

int op_route(struct call *call)
{
	struct reader *from = &call->arguments;
	const char *interface = read_str(from);
	const char *target = read_str(from);
	uint32_t prefix = read_u32(from);
	const char *gateway = read_str(from);
	int error = call_arguments(call);
	struct rtmsg fixed = {.rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_STATIC, .rtm_type = RTN_UNICAST};
	struct netlink_request request;
	struct ip_address to;
	struct ip_address via;
	int index;

	if (error != 0)
		return error;
	if (!parse_ip(&to, target) || prefix > to.bits)
		return call_fail(call, EINVAL, "route(%s, %s/%u)", interface, target, prefix);
	if (gateway[0] != '\0' && (!parse_ip(&via, gateway) || via.family != to.family))
		return call_fail(call, EINVAL, "route(%s, %s/%u, %s)", interface, target, prefix, gateway);
	error = netlink_interface(interface, &index);
	if (error != 0)
		return call_fail(call, error, "interface(%s)", interface);
	fixed.rtm_family = to.family;
	fixed.rtm_dst_len = (uint8_t)prefix;
	/* Without a gateway the target is on the link itself. */
	fixed.rtm_scope = gateway[0] != '\0' ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	netlink_start(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &fixed, sizeof(fixed));
	if (prefix > 0)
		netlink_attribute(&request, RTA_DST, to.bytes, to.size);
	if (gateway[0] != '\0')
		netlink_attribute(&request, RTA_GATEWAY, via.bytes, via.size);
	netlink_attribute(&request, RTA_OIF, &index, sizeof(index));
	error = netlink_send(&request);
	if (error != 0)
		return call_fail(call, error, "route(%s, %s/%u, %s)", interface, target, prefix, gateway);
	return 0;
}
