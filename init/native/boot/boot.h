/* From the start of this process to an open channel, on every platform. */
#ifndef VS_BOOT_H
#define VS_BOOT_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the arguments, detects the platform, mounts /dev, /proc and /sys, and opens the log. */
void boot_prepare(int argc, char **argv);
/* Does what a process that serves root shells still needs after process 1 has prepared the platform. */
void boot_prepare_session(void);
/* Opens the channel, non-blocking; a machine loads its modules first. -1 after logging why. */
int boot_open_channel(void);
/* Whether the open channel takes pages of a pipe. */
bool boot_can_splice(void);
/* How long to wait for the host's first byte. */
uint64_t boot_handshake_us(void);

#endif
