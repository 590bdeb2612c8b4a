/*
 * A filter of system calls, beside libvirt's own: for what Landlock does not judge. seccomp(2)
 */
#ifndef VS_CALLS_H
#define VS_CALLS_H

#include <stdbool.h>

struct calls {
	/* New sockets of any kind, but for pairs of streams. */
	bool sockets;
	/* Changing modes, owners, times and attributes of files. */
	bool metadata;
};

/* Refuses these, and what reaches processes and keys of the same user without a path. */
int calls_refuse(const struct calls *calls);

#endif
