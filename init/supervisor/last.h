/*
 * Processes of a domain that libvirt lets live when the launcher's connection ends. A service has such a one: it
 * outlives a libvirtd that is started again. If the launcher is killed, nobody else ends it.
 */
#ifndef VS_LAST_H
#define VS_LAST_H

#include <sys/types.h>

/* One more that is to be killed at the end. Of more than there are of one domain it takes no notice. */
void last_add(pid_t pid, const char *argument);

/* Kills those that still run, with the meaning of kill_qemu(). */
void last_end(void (*reap)(void *), void *context);

#endif
