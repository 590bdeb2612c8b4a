/* Serves the root of a sandbox to QEMU over virtiofs: vhost/ speaks to QEMU, files/ answers its guest. */
#ifndef VS_ROOT_SERVER_H
#define VS_ROOT_SERVER_H

#include "files/state.h"

#include <stdbool.h>

/* Memory of its own. The guest's, which it maps, does not count. A guest that makes it need more gets ENOMEM. */
#define ROOT_SERVER_DATA_BYTES 536870912

struct root_server_options {
	struct files_options files;
	/* Its machine is one that is saved: vhost/device.h */
	bool is_saved;
};

/* What libvirt asks virtiofsd for before it starts one, as docs/interop/vhost-user.rst of QEMU has it. */
void root_server_describe(void);

/* The mode of --cache. False if there is none of that name. */
bool root_server_cache(const char *name, enum files_cache *cache);

/*
 * Waits for QEMU on the listening socket, and serves `directory` until QEMU closes the connection. From the connection on, this
 * process has only the system calls that it needs. Returns the exit status, and has said what is wrong if that is not 0.
 */
int root_server_run(int listening, const char *directory, struct root_server_options *options);

#endif
