/* One host, from its greeting to its end. */
#ifndef VS_SERVE_H
#define VS_SERVE_H

#include <stdbool.h>
#include <stdint.h>

struct service {
	int fd;
	/* The host has to come before this moment. */
	uint64_t deadline;
	/* See channel_open(). */
	bool can_splice;
	/* See handshake(). */
	bool one_peer;
	/* When this program was started, by CLOCK_BOOTTIME. */
	uint64_t started;
	/* Called when nothing more is to run: before EXIT is sent, or when the channel has ended. */
	void (*finish)(void);
};

void serve(const struct service *service);

#endif
