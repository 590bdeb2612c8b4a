/*
 * A DHCP client for a machine that has no other.
 *
 *   dhcp INTERFACE SECONDS HOSTNAME
 *
 * gets a lease for an interface that is up, and prints it as KEY=VALUE lines. It changes no setting; the common init
 * does. If the lease ends some day, a process stays behind and renews it. HOSTNAME may be empty.
 *
 * Exit status: 0 for a lease, 1 if something failed, 2 if no server replied, 3 if the servers refused.
 */
#include "exchange.h"
#include "renew.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_SILENCE 2
#define EXIT_REFUSED 3
#define MOST_SECONDS 3600

static void print_address(const char *key, struct in_addr address)
{
	char text[INET_ADDRSTRLEN];

	if (address.s_addr != 0 && inet_ntop(AF_INET, &address, text, sizeof(text)) != NULL)
		(void)printf("%s=%s\n", key, text);
}

static void print_route(const struct route *route)
{
	char target[INET_ADDRSTRLEN];
	char gateway[INET_ADDRSTRLEN];

	if (inet_ntop(AF_INET, &route->target, target, sizeof(target)) != NULL &&
	    inet_ntop(AF_INET, &route->gateway, gateway, sizeof(gateway)) != NULL)
		(void)printf("route=%s/%u %s\n", target, (unsigned)route->prefix, gateway);
}

/* A server that sends no mask relies on the address's class. */
static unsigned prefix_of(const struct reply *lease)
{
	uint32_t first = ntohl(lease->address.s_addr) >> 24;

	if (lease->mask.s_addr != 0)
		return mask_prefix(lease->mask);
	return first < 128 ? 8 : first < 192 ? 16 : 24;
}

static bool print_lease(const struct reply *lease)
{
	print_address("address", lease->address);
	(void)printf("prefix=%u\n", prefix_of(lease));
	print_address("broadcast", lease->broadcast);
	for (size_t i = 0; i < lease->router_count; i++)
		print_address("router", lease->routers[i]);
	for (size_t i = 0; i < lease->route_count; i++)
		print_route(&lease->routes[i]);
	for (size_t i = 0; i < lease->name_count; i++)
		print_address("dns", lease->names[i]);
	if (lease->domain[0] != '\0')
		(void)printf("domain=%s\n", lease->domain);
	if (lease->mtu != 0)
		(void)printf("mtu=%u\n", (unsigned)lease->mtu);
	print_address("server", lease->server);
	if (lease_ends(lease))
		(void)printf("lease=%lu\n", (unsigned long)lease->lease);
	return fflush(stdout) == 0;
}

static int get_lease(const char *interface, unsigned long seconds, const char *hostname)
{
	struct port port;
	struct reply lease;

	if (!port_open(&port, interface, hostname))
		return EXIT_FAILURE;
	switch (obtain_lease(&port, &lease, now_ms() + seconds * 1000)) {
	case OUTCOME_LEASE:
		break;
	case OUTCOME_SILENCE:
		return EXIT_SILENCE;
	case OUTCOME_REFUSED:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILURE;
	}
	if (!print_lease(&lease))
		return EXIT_FAILURE;
	if (lease_ends(&lease) && !renew_in_background(&port, &lease, interface))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

#ifdef VS_TEST
/* Reads from stdin a server's message to xid 0 and MAC 02:00:00:00:00:01, and prints it as a lease. */
static int read_test_message(void)
{
	const struct client client = {.xid = 0, .mac = {2, 0, 0, 0, 0, 1}, .hostname = ""};
	static uint8_t message[65536];
	struct reply reply;
	size_t size = fread(message, 1, sizeof(message), stdin);
	/* A block of exactly this size lets the sanitizer see a read past the end. */
	uint8_t *exact = malloc(size == 0 ? 1 : size);
	bool read;

	if (exact == NULL)
		return EXIT_FAILURE;
	memcpy(exact, message, size);
	read = message_read(&reply, exact, size, &client);
	free(exact);
	if (!read)
		return EXIT_SILENCE;
	return print_lease(&reply) ? EXIT_SUCCESS : EXIT_FAILURE;
}
#endif

int main(int argc, char **argv)
{
	char *end;
	unsigned long seconds;

#ifdef VS_TEST
	if (argc == 2 && strcmp(argv[1], "--read") == 0)
		return read_test_message();
#endif
	if (argc != 4 || (seconds = strtoul(argv[2], &end, 10)) == 0 || *end != '\0' || seconds > MOST_SECONDS) {
		(void)fprintf(stderr, "usage: dhcp INTERFACE SECONDS HOSTNAME\n");
		return EXIT_FAILURE;
	}
	return get_lease(argv[1], seconds, argv[3]);
}
