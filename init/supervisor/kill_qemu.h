#ifndef VS_KILL_QEMU_H
#define VS_KILL_QEMU_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Kills a process that libvirt watches, so that libvirt finds it gone when it looks.
 *
 * `argument` must be a word of its command line, alone or followed by a comma: the pid may belong to another process by
 * now. `reap` collects ended children of this process, in case it is one of them. With `keep`, its sockets stay open
 * until kill_qemu_release(), so that nobody learns of its end from them.
 *
 * True if it was killed; false if it is gone, not the one that is meant, or not ours to kill.
 */
bool kill_qemu(pid_t pid, const char *argument, bool keep, void (*reap)(void *), void *context);

/* Closes the sockets that kill_qemu() has kept. */
void kill_qemu_release(void);

#endif
