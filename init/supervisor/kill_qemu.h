#ifndef VS_OUTRIGHT_H
#define VS_OUTRIGHT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Kills a process that libvirt watches, so that libvirt finds it gone when it looks.
 *
 * `argument` must be among the words of its command line, by itself or with more behind a comma: `pid` may be another's by now. `reap` collects
 * children of this process that have ended, in case it is one of them. With `keep` its sockets stay open until this process ends, so that nobody
 * hears of its end from them.
 *
 * Returns true when it was killed, and false when it is not there, not the one that is meant, or not ours to kill.
 */
bool kill_qemu(pid_t pid, const char *argument, bool keep, void (*reap)(void *), void *context);

#endif
