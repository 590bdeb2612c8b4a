/* What libvirt leaves of a container when its launcher is dead: it ends the container, and removes half of its files. */
#ifndef VS_CONTAINER_H
#define VS_CONTAINER_H

/*
 * Waits until libvirt has forgotten the container that is named as a state directory, and removes its mount points and
 * its socket. Nothing is done where the directory, of state_open(), has no file `container`, or where libvirt does not
 * forget it within CONTAINER_MS.
 */
void container_remove(const char *directory, int state);

/* In milliseconds. libvirt needs half a second. */
#define CONTAINER_MS 2000

#endif
