/*
 * The rules of one QEMU, which the launcher writes. A file of words that end with NUL:
 *
 *   report PATH       make this file, with the version of the kernel's Landlock in it, or 0
 *   root LINK         the link to the view of the host's files: root.h
 *   read PATH         may be read
 *   write PATH        may be read and changed
 *   read-device PATH  may be read and controlled
 *   device PATH       may be read, written and controlled
 *   read-all          reading is not confined
 *   network           neither are sockets
 *   metadata          neither are modes, owners, times and attributes of files
 *   calls-only        nothing but system calls is confined, and sockets are not: for a QEMU with a user of its own
 */
#ifndef VS_RULES_H
#define VS_RULES_H

#include "landlock.h"

#include <stdbool.h>
#include <stddef.h>

struct rule {
	enum access access;
	const char *path;
};

struct rules {
	struct rule *all;
	size_t count;
	const char *report;
	/* NULL: QEMU does not serve the root. */
	const char *root;
	/* What is confined. */
	bool reads;
	bool network;
	bool metadata;
	/* Nothing else is. */
	bool calls_only;
};

/* Nothing of it is freed. errno is EINVAL for a file that cannot be understood. */
int rules_read(struct rules *rules, const char *file);

#endif
