/* Serves one host, from the handshake to the end. */
#ifndef VS_SERVE_H
#define VS_SERVE_H

#include <stdbool.h>
#include <stdint.h>

struct service {
	int fd;
	/* Deadline for the host's handshake. */
	uint64_t deadline;
	/* See channel_open(). */
	bool can_splice;
	/* See handshake(). */
	bool one_peer;
	/* When this program started, by CLOCK_BOOTTIME. */
	uint64_t started;
	/* Called when no program is to run any more: before EXIT is sent, or when the channel has ended. */
	void (*finish)(void);
};

void serve(const struct service *service);

#endif
