/* How long after a change of a file the host's kernel has surely written it to the disk. */
#ifndef VS_SETTLED_H
#define VS_SETTLED_H

#include <stdint.h>

/*
 * Seconds after which a file that nobody changes is written, by what is set now: /proc/sys/vm/dirty_expire_centisecs and
 * dirty_writeback_centisecs, proc_sys_vm(5), and some more. Until then a program that has mapped the file may change it
 * without changing its times. 0: it cannot be told, or the kernel does not write by itself.
 */
uint32_t settled_seconds(void);

#endif
