#include "message.h"

#include "options.h"

#include <arpa/inet.h>
#include <string.h>

#define BOOT_REQUEST 1
#define BOOT_REPLY 2
#define ETHERNET 1
#define FLAG_BROADCAST 0x8000

#define AT_OP 0
#define AT_HARDWARE 1
#define AT_HARDWARE_SIZE 2
#define AT_XID 4
#define AT_SECONDS 8
#define AT_FLAGS 10
#define AT_CURRENT 12
#define AT_YOURS 16
#define AT_MAC 28
#define AT_COOKIE 236

/* Old relays drop what is shorter than a BOOTP message. */
#define LEAST_BYTES 300
#define LARGEST_LABEL 63

static const uint8_t dhcp_cookie[4] = {99, 130, 83, 99};

static void put16(uint8_t *at, uint16_t value)
{
	value = htons(value);
	memcpy(at, &value, sizeof(value));
}

static uint8_t *put_option(uint8_t *at, uint8_t code, const void *data, uint8_t size)
{
	*at++ = code;
	*at++ = size;
	memcpy(at, data, size);
	return at + size;
}

size_t message_write(uint8_t message[MESSAGE_BYTES], const struct client *client, const struct request *request)
{
	static const uint8_t parameters[] = {OPTION_MASK,      OPTION_ROUTER,          OPTION_NAMES, OPTION_DOMAIN,
					     OPTION_MTU,       OPTION_BROADCAST,       OPTION_LEASE, OPTION_RENEWAL,
					     OPTION_REBINDING, OPTION_CLASSLESS_ROUTES};
	uint8_t identity[1 + MAC_BYTES] = {ETHERNET};
	uint8_t size[2];
	uint8_t *at = message + AT_OPTIONS;
	size_t hostname = strlen(client->hostname);

	memset(message, 0, MESSAGE_BYTES);
	message[AT_OP] = BOOT_REQUEST;
	message[AT_HARDWARE] = ETHERNET;
	message[AT_HARDWARE_SIZE] = MAC_BYTES;
	memcpy(message + AT_XID, &client->xid, sizeof(client->xid));
	put16(message + AT_SECONDS, request->seconds);
	/* An interface without an address takes nothing that is sent to one. */
	put16(message + AT_FLAGS, request->current.s_addr == 0 ? FLAG_BROADCAST : 0);
	memcpy(message + AT_CURRENT, &request->current, sizeof(request->current));
	memcpy(message + AT_MAC, client->mac, MAC_BYTES);
	memcpy(message + AT_COOKIE, dhcp_cookie, sizeof(dhcp_cookie));

	at = put_option(at, OPTION_TYPE, &request->type, 1);
	memcpy(identity + 1, client->mac, MAC_BYTES);
	at = put_option(at, OPTION_CLIENT, identity, sizeof(identity));
	put16(size, MESSAGE_BYTES);
	at = put_option(at, OPTION_LARGEST, size, sizeof(size));
	if (request->wanted.s_addr != 0)
		at = put_option(at, OPTION_WANTED, &request->wanted, sizeof(request->wanted));
	if (request->server.s_addr != 0)
		at = put_option(at, OPTION_SERVER, &request->server, sizeof(request->server));
	if (hostname > 0 && hostname <= LARGEST_LABEL)
		at = put_option(at, OPTION_HOSTNAME, client->hostname, (uint8_t)hostname);
	at = put_option(at, OPTION_PARAMETERS, parameters, sizeof(parameters));
	*at = OPTION_END;
	return at + 1 - message < LEAST_BYTES ? LEAST_BYTES : (size_t)(at + 1 - message);
}

static struct in_addr address_of(const struct option *option)
{
	struct in_addr address = {0};

	if (option->size == sizeof(address))
		memcpy(&address, option->data, sizeof(address));
	return address;
}

static uint32_t number_of(const struct option *option)
{
	return ntohl(address_of(option).s_addr);
}

static size_t addresses_of(const struct option *option, struct in_addr *to, size_t most)
{
	size_t count = option->size / sizeof(*to) < most ? option->size / sizeof(*to) : most;

	memcpy(to, option->data, count * sizeof(*to));
	return count;
}

/* Each route is the bits of its mask, as many bytes of the target as they need, and the gateway. */
static size_t routes_of(const struct option *option, struct route *to)
{
	size_t at = 0;
	size_t count = 0;

	while (at < option->size && count < MAX_ROUTES) {
		uint8_t prefix = option->data[at++];
		size_t bytes = (prefix + 7u) / 8;

		if (prefix > 32 || option->size - at < bytes + sizeof(to->gateway))
			break;
		to[count] = (struct route){.prefix = prefix};
		memcpy(&to[count].target, option->data + at, bytes);
		memcpy(&to[count].gateway, option->data + at + bytes, sizeof(to->gateway));
		at += bytes + sizeof(to->gateway);
		count++;
	}
	return count;
}

/* The domain ends up in a file of lines and words, so take a proper name or nothing. */
static void domain_of(const struct option *option, char domain[MAX_DOMAIN_BYTES + 1])
{
	size_t size = option->size;

	while (size > 0 && option->data[size - 1] == '\0')
		size--;
	if (size > MAX_DOMAIN_BYTES)
		return;
	for (size_t i = 0; i < size; i++) {
		uint8_t c = option->data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '-' || c == '_'))
			return;
	}
	memcpy(domain, option->data, size);
}

bool message_read(struct reply *reply, const uint8_t *message, size_t size, const struct client *client)
{
	struct option option;

	memset(reply, 0, sizeof(*reply));
	if (size < AT_OPTIONS || message[AT_OP] != BOOT_REPLY ||
	    memcmp(message + AT_COOKIE, dhcp_cookie, sizeof(dhcp_cookie)) != 0 ||
	    memcmp(message + AT_XID, &client->xid, sizeof(client->xid)) != 0 ||
	    memcmp(message + AT_MAC, client->mac, MAC_BYTES) != 0)
		return false;
	if (!option_find(&option, message, size, OPTION_TYPE) || option.size != 1)
		return false;
	reply->type = option.data[0];
	memcpy(&reply->address, message + AT_YOURS, sizeof(reply->address));
	if (option_find(&option, message, size, OPTION_SERVER))
		reply->server = address_of(&option);
	if (option_find(&option, message, size, OPTION_MASK))
		reply->mask = address_of(&option);
	if (option_find(&option, message, size, OPTION_BROADCAST))
		reply->broadcast = address_of(&option);
	if (option_find(&option, message, size, OPTION_ROUTER))
		reply->router_count = addresses_of(&option, reply->routers, MAX_ROUTERS);
	if (option_find(&option, message, size, OPTION_CLASSLESS_ROUTES))
		reply->route_count = routes_of(&option, reply->routes);
	if (option_find(&option, message, size, OPTION_NAMES))
		reply->name_count = addresses_of(&option, reply->names, MAX_SERVERS);
	if (option_find(&option, message, size, OPTION_DOMAIN))
		domain_of(&option, reply->domain);
	if (option_find(&option, message, size, OPTION_MTU) && option.size == 2)
		reply->mtu = (uint16_t)(option.data[0] << 8 | option.data[1]);
	if (option_find(&option, message, size, OPTION_LEASE))
		reply->lease = number_of(&option);
	if (option_find(&option, message, size, OPTION_RENEWAL))
		reply->renewal = number_of(&option);
	if (option_find(&option, message, size, OPTION_REBINDING))
		reply->rebinding = number_of(&option);
	return true;
}

unsigned mask_prefix(struct in_addr mask)
{
	uint32_t bits = ntohl(mask.s_addr);
	unsigned prefix = 0;

	while (prefix < 32 && (bits & 0x80000000u) != 0) {
		bits <<= 1;
		prefix++;
	}
	return prefix;
}
