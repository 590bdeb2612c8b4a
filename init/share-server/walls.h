/*
 * Namespaces for virtiofsd: of processes, network, System V IPC, host name, and mounts. Its root is a tmpfs with
 *
 *   WALLED_SHARE     the share, without devices, set-user-ID programs and, if it is read-only, without writing
 *   /usr, /lib, …    the host's programs and libraries, read-only, which virtiofsd itself is loaded from
 *   /proc            its own processes, read-only
 */
#ifndef VS_WALLS_H
#define VS_WALLS_H

#include <stdbool.h>

#define WALLED_SHARE "/share"

/*
 * Makes the namespaces and the root. *made becomes false, and nothing is done, if this process may not. NULL, or what
 * failed with errno.
 */
const char *walls_make(const char *directory, bool read_only, bool *made);

/* In the first child since walls_make(): changes the root. NULL, or what failed with errno. */
const char *walls_enter(void);

#endif
