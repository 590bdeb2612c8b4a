/*
 * A container whose launcher is dead. libvirt or the supervisor ends it. If the supervisor was killed, too, one that
 * outlives libvirtd runs on: its state directory says which process its controller is (note.h), or that libvirt was
 * asked to start it. libvirt removes half of a container's files.
 */
#ifndef VS_CONTAINER_H
#define VS_CONTAINER_H

/*
 * Ends it if it still runs, and one that libvirt is asked to start, which may take EXPECTED_MS. 0, or -1 if it does not
 * end. `state` is of state_open().
 */
int container_end(const char *directory, int state);

/*
 * Waits until libvirt has forgotten the container that is named as a state directory, and removes its mount points and
 * its socket. Nothing is done where the directory, of state_open(), has no file `container`, or where libvirt does not
 * forget it within CONTAINER_MS.
 */
void container_remove(const char *directory, int state);

/* In milliseconds. libvirt needs half a second. */
#define CONTAINER_MS 2000

#endif
