/*
 * Processes of a domain that libvirt lets live when the launcher's connection ends. A service has such a one: it
 * outlives a libvirtd that is started again. If the launcher is killed, nobody else ends it.
 */
#ifndef VS_LAST_H
#define VS_LAST_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Takes an order about them:
 *   expect OTHER ARGUMENT PATH          libvirt is about to start one: see expected.h
 *   expect-parent OTHER ARGUMENT PATH   the same with its children
 *   last PID ARGUMENT                   one more that runs, and none is expected any more. With the PID 0 there is none
 */
bool last_obey(const char *order);

/* Kills those that still run, with the meaning of kill_qemu(). Waits for one that is expected. */
void last_end(void (*reap)(void *), void *context);

#endif
