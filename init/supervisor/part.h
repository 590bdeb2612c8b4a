/*
 * Which processes are of a sandbox. They are found by their command lines, since whoever started them is dead. Only
 * those count that are of this user and see the sandbox's state directory at its path, or that hold libvirt's lock on a
 * PID file which this user has written.
 */
#ifndef VS_PART_H
#define VS_PART_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* What a process does for the sandbox; NOTHING: it is another's. DRIVER: virt-qemu-run. MACHINE: QEMU, or a virtiofsd. */
enum part { NOTHING, SUPERVISOR, DRIVER, VIEW, MACHINE };

/* In QEMU's command line each comma of a name or a path is doubled. */
#define DOUBLED_BYTES (2 * PATH_MAX)

struct sandbox {
	const char *directory;
	/* The directory, see state_open(). */
	int state;
	/* The directory's other path, see alias.h; empty if there is none. */
	char alias[PATH_MAX];
	/* The directory of libvirt's PID files. */
	char pids[PATH_MAX];
	/* Words of QEMU's command line: guest=NAME, and path=DIRECTORY/ by both paths; an empty one is in none. */
	char guest[DOUBLED_BYTES];
	char socket[DOUBLED_BYTES];
	char alias_socket[DOUBLED_BYTES];
	uid_t user;
};

/* `state` is of state_open(). False if a path is too long. */
bool sandbox_know(struct sandbox *sandbox, const char *directory, int state);

/* Open a pidfd of the process first, so that what is checked is what gets a signal. */
enum part sandbox_part(const struct sandbox *sandbox, pid_t pid);

#endif
