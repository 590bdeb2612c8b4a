/* Carries frames between QEMU and passt. */
#ifndef VS_RELAY_H
#define VS_RELAY_H

#include "filter.h"

enum relay_end {
	RELAY_QEMU_CLOSED,
	RELAY_PASST_CLOSED,
	RELAY_FAILED, /* after a message on stderr */
};

/*
 * Carries frames until one side closes its socket. Both sockets have QEMU's stream format: a frame's length in four
 * bytes, the highest first, and the frame (net/stream.c of QEMU). What passt sends passes as it is.
 */
enum relay_end relay(struct filter *filter, int qemu, int passt);

#endif
