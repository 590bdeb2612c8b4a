/*
 * What serves the view to a QEMU over virtiofs: share-server, on a socket that QEMU connects to. It runs beside COMMAND,
 * in the namespaces of the view, and does not outlive the process that starts it.
 */
#pragma once

#include <sys/types.h>

struct server {
	/*
	 * A link to share-server, whose owner the server becomes (init/share-server/user.h). Beside it are PROGRAM.pid, the
	 * server's process ID, and PROGRAM.log, what it says. NULL: there is no server.
	 */
	const char *program;
	/* Where it listens. */
	const char *socket;
	/* Who may connect: QEMU's user. */
	uid_t client;
	/* What the guest keeps of what it has read: auto, never or always. */
	const char *cache;
};

/*
 * Starts the server of POINT/root, as a child that ends with this process. Connections wait from now on. Returns its process
 * ID, or -1 with errno set and *failed what could not be made.
 */
pid_t server_start(const struct server *server, const char *point, const char **failed);
