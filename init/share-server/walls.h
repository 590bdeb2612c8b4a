/*
 * Namespaces for what serves a share: of processes, network, System V IPC, host name, and mounts. Its root is a tmpfs with
 *
 *   WALLED_SHARE     the share, without devices, set-user-ID programs and, if it is read-only, without writing
 *
 * and for virtiofsd also
 *
 *   /usr, /lib, …    the host's programs and libraries, read-only, which virtiofsd itself is loaded from
 *   /proc            its own processes, read-only
 */
#ifndef VS_WALLS_H
#define VS_WALLS_H

#include <stdbool.h>

#define WALLED_SHARE "/share"

struct walls {
	/* The share may not be written to. */
	bool read_only;
	/* There is nothing in the root but the share. */
	bool bare;
};

/*
 * Makes the namespaces and the root. *made becomes false, and nothing is done, if this process may not. NULL, or what
 * failed with errno.
 */
const char *walls_make(const char *directory, const struct walls *walls, bool *made);

/* In the first child since walls_make(): changes the root. NULL, or what failed with errno. */
const char *walls_enter(const struct walls *walls);

#endif
