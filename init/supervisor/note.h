/*
 * What the file `container` of a state directory says of the controller of its container, if that outlives libvirtd:
 *
 *   0 OTHER   libvirt is asked to start it; OTHER is what libvirt's PID file names before, 0 if nothing
 *   PID       libvirt has said its process ID
 *
 * It is empty before, and for a container that ends with the connection. It is replaced as a whole
 * (src/libvirt/container-process.ts).
 */
#ifndef VS_NOTE_H
#define VS_NOTE_H

#include <stdbool.h>
#include <sys/types.h>

#define NOTE_FILE "container"

struct note {
	/* 0: libvirt has not said it. */
	pid_t controller;
	/* Another one, if libvirt has not. */
	pid_t other;
	/* How long libvirt may still take to start it (EXPECTED_MS), in milliseconds, if it has not said it. */
	int left_ms;
};

/* False: it notes none. A text that is none of these is taken as `0 0`. `state` is of state_open(). */
bool note_read(int state, struct note *note);

#endif
