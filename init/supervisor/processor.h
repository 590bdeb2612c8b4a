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
 * Has processor_pin() work, until COMMAND opens this file, which is there: virt-qemu-run opens the domain's when its
 * driver has begun and nothing else has. A lease has that open(2) wait for processor_release() (fcntl(2)); SIGIO tells
 * of it, and has to be blocked. Nothing is done where this process may use one processor only, or where the file system
 * has no leases.
 */
void processor_watch(const char *file);

/* Moves this process to the first of its processors, for COMMAND to begin there, and back. */
void processor_pin(void);
void processor_unpin(void);

/* Has all descendants of this process run where it may run itself. No more is watched. To be called for a SIGIO. */
void processor_release(void);

#endif
