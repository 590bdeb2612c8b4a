/*
 * A DHCP server's messages, which any machine of a network can send. The mutator knows options.
 *
 * What must hold: counts have room, and a domain is a name that a file of lines and words can hold.
 */
#include "harness/check.h"
#include "harness/input.h"
#include "message.h"
#include "options.h"
#include "renew.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define AT_XID 4
#define AT_MAC 28
#define AT_COOKIE 236
#define MOST_OPTIONS 64

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static const struct client client = {.xid = 0, .mac = {2, 0, 0, 0, 0, 1}, .hostname = "sandbox"};

/* A reply to this client without any option. */
static void write_header(uint8_t *message)
{
	static const uint8_t cookie[] = {99, 130, 83, 99};

	message[0] = 2;
	memcpy(message + AT_XID, &client.xid, sizeof(client.xid));
	memcpy(message + AT_MAC, client.mac, sizeof(client.mac));
	memcpy(message + AT_COOKIE, cookie, sizeof(cookie));
}

struct option_at {
	size_t at;
	size_t size;
};

static size_t find_options(const uint8_t *message, size_t size, struct option_at *options)
{
	size_t count = 0;

	for (size_t at = AT_OPTIONS; at < size && count < MOST_OPTIONS;) {
		size_t bytes = message[at] == OPTION_PAD || message[at] == OPTION_END ? 1 : 2;

		if (bytes == 2)
			bytes = at + 1 < size ? 2 + (size_t)message[at + 1] : 1;
		if (bytes > size - at)
			bytes = size - at;
		options[count++] = (struct option_at){at, bytes};
		at += bytes;
	}
	return count;
}

/* A new option, of a code that the client reads, in most cases of a size that fits. */
static size_t make_option(uint8_t *to, uint32_t *random)
{
	static const uint8_t codes[] = {
		OPTION_MASK,      OPTION_ROUTER,    OPTION_NAMES,
		OPTION_DOMAIN,    OPTION_MTU,       OPTION_LEASE,
		OPTION_RENEWAL,   OPTION_REBINDING, OPTION_CLASSLESS_ROUTES,
		OPTION_OVERLOAD,  OPTION_TYPE,      OPTION_SERVER,
		OPTION_BROADCAST, OPTION_PAD,       OPTION_END,
	};
	static const uint8_t sizes[] = {0, 1, 1, 2, 3, 4, 4, 4, 5, 8, 9, 12, 16, 40, 128, 253, 254, 255};

	to[0] = codes[input_random(random) % sizeof(codes)];
	to[1] = sizes[input_random(random) % sizeof(sizes)];
	for (size_t i = 0; i < to[1]; i++)
		to[2 + i] = (uint8_t)(input_random(random) % 3 == 0 ? input_random(random) : 'a');
	return 2 + (size_t)to[1];
}

/* Replaces the bytes of an option by others; a size of 0 removes it. */
static size_t replace(uint8_t *data, size_t size, size_t most, struct option_at old, const uint8_t *bytes, size_t count)
{
	size_t behind = old.at + old.size;

	if (size - old.size + count > most)
		return size;
	memmove(data + old.at + count, data + behind, size - behind);
	memcpy(data + old.at, bytes, count);
	return size - old.size + count;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	struct option_at options[MOST_OPTIONS];
	uint8_t bytes[2 + 255];
	uint32_t random = seed * 2654435761U | 1;
	size_t count;
	struct option_at chosen;

	if (most < AT_OPTIONS || input_random(&random) % 16 == 0)
		return LLVMFuzzerMutate(data, size, most);
	if (size < AT_OPTIONS) {
		memset(data + size, 0, AT_OPTIONS - size);
		size = AT_OPTIONS;
	}
	write_header(data);
	count = find_options(data, size, options);
	chosen = count == 0 ? (struct option_at){AT_OPTIONS, 0} : options[input_random(&random) % count];
	switch (input_random(&random) % 5) {
	case 0:
		return replace(data, size, most, chosen, bytes, 0);
	case 1:
		/* The fields for file names may hold options too. */
		(void)LLVMFuzzerMutate(data + AT_SNAME, SNAME_BYTES + FILE_BYTES, SNAME_BYTES + FILE_BYTES);
		return size;
	case 2:
	case 3:
		chosen.size = 0;
		return replace(data, size, most, chosen, bytes, make_option(bytes, &random));
	default:
		if (chosen.size < 2)
			return size;
		memcpy(bytes, data + chosen.at, 2);
		memcpy(bytes + 2, data + chosen.at + 2, chosen.size - 2);
		bytes[1] = (uint8_t)LLVMFuzzerMutate(bytes + 2, chosen.size - 2, 255);
		return replace(data, size, most, chosen, bytes, 2 + (size_t)bytes[1]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *message = input_exact(data, size);
	struct reply reply;

	if (message_read(&reply, message, size, &client)) {
		check(reply.router_count <= MAX_ROUTERS && reply.route_count <= MAX_ROUTES &&
			      reply.name_count <= MAX_SERVERS,
		      "lists have room");
		check(memchr(reply.domain, '\0', sizeof(reply.domain)) != NULL, "a domain ends");
		for (const char *at = reply.domain; *at != '\0'; at++)
			check(isalnum((unsigned char)*at) || strchr(".-_", *at) != NULL, "a domain is a name");
		for (size_t i = 0; i < reply.route_count; i++)
			check(reply.routes[i].prefix <= 32, "a route's prefix is possible");
		check(mask_prefix(reply.mask) <= 32, "a prefix is possible");
		(void)lease_ends(&reply);
	}
	free(message);
	return 0;
}
