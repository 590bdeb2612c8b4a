/*
 * Lays memory over the root of a container, or a directory, so that it can be written to.
 *
 *   root-overlay OPTION... ROOT BYTES
 *
 * ROOT is a directory with mounts below it, in a mount namespace of the container's own. Each becomes an overlay, with
 * an upper layer in one tmpfs of BYTES, or in DIR. A mount that cannot have one stays as it is, read-only, and a line on
 * stdout says so. If the topmost cannot, the program fails, and ROOT is as it was.
 *
 *   --reader UID GID     who reads the host's files; --group GID, any number of times, for further groups
 *   --uid INSIDE OUTSIDE COUNT, --gid INSIDE OUTSIDE COUNT, any number of times
 *                        files that belong to INSIDE on the host belong to OUTSIDE in the overlay
 *   --image              nothing of the host is below ROOT: root inside reads all of it, and there is no reader
 *   --kept DIR           a directory for the upper layers, which stay there (kept.h). It is a mount, which goes away
 *   --wait SECONDS       how long to wait while another container uses it; default 0
 *   --empty PATH         any number of times: a file below ROOT that root inside is to write to, if it is there and empty
 *
 * With a reader there are two overlays on each other. The kernel looks into the layers of an overlay with the rights of
 * the process that mounted it. The lower one, the wall, is mounted by a process with the rights of the reader and no
 * capability to go around permissions: whatever anybody may do in the upper one, what the reader may not read on the
 * host cannot be read. The ids are only for who owns what, and the upper one is mounted by root: it has to give the
 * files that it copies to others.
 *
 * With an image the ids are for the wall, too, and root mounts it.
 *
 * With ids DIR has files of those whom they belong to inside: the upper layers are idmapped, too. With DIR and without a
 * reader root mounts the wall, and it has set-user-ID programs.
 *
 * Nothing stays but the mounts at ROOT, and what is in DIR. No path leads to the layers: the init may hold them open, if
 * it has mounted the stage itself (stage.c).
 */
#include "arguments.h"
#include "layers.h"
#include "mounts.h"
#include "stage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The number is for who runs it. */
static int complain(const char *what, const char *path)
{
	(void)dprintf(1, "root-overlay: %d %s %s: %s\n", errno, what, path, strerror(errno));
	return 1;
}

int main(int argc, char *argv[])
{
	static struct arguments options;
	static struct mounts mounts;
	const char *what;

	if (!arguments_parse(argc, argv, &options)) {
		(void)dprintf(1, "usage: root-overlay [--reader UID GID [--group GID]...|--image] [--empty PATH]... "
				 "[--kept DIR] [--wait SECONDS] [--uid|--gid INSIDE OUTSIDE COUNT]... ROOT BYTES\n");
		return 2;
	}
	/* The init may have given itself another user for files. */
	if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
		return complain("cannot be", "root");
	if (mounts_read(options.root, &mounts) != 0)
		return complain("cannot list the mounts below", options.root);
	if (layers_make(&options, &mounts, &what) != 0) {
		(void)complain(what, options.root);
		(void)stage_discard();
		return 1;
	}
	return 0;
}
