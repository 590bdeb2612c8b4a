/*
 * A process that libvirt is about to start for this launcher. If the launcher is killed now, libvirt may start it all
 * the same, a moment later.
 */
#ifndef VS_EXPECTED_H
#define VS_EXPECTED_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Expects one. `words` is ARGUMENT PATH: what kill_qemu() asks for, without blanks, and the file where libvirt writes
 * its process ID; without a path, none is expected any more. `other` is what that file names now, or 0: it is
 * somebody else's, or was left. With `is_parent` its children have to end too.
 */
void expected_set(pid_t other, const char *words, bool is_parent);

/* Waits for the one that is expected, and kills it. */
void expected_end(void (*reap)(void *), void *context);

#endif
