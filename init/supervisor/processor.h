/*
 * Has COMMAND begin on one and the same processor each time.
 *
 * libvirt keeps what it has found out about QEMU together with all that CPUID says, and CPUID says the number of the
 * processor that asks. Where its driver begins on another processor the next time, it takes the host's for another
 * model, and asks QEMU everything anew. docs/decisions/0035-one-processor.md
 */
#ifndef VS_PROCESSOR_H
#define VS_PROCESSOR_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Has processor_pin() work, until COMMAND opens this file, which is there: virt-qemu-run does when its driver has begun.
 * Where this process may use one processor only, or no inotify(7) instance is left, nothing is done.
 */
void processor_watch(const char *file);

/* Readable when the file has been opened; -1 if that does not matter, or no more. For poll(2). */
int processor_fd(void);

/* Moves this process, which becomes COMMAND, to the first of its processors. */
void processor_pin(void);

/* Has the threads of COMMAND run on all processors that this process may use. No more is watched. */
void processor_release(pid_t command);

#endif
