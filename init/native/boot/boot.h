/* From the start of this process to an open channel, on every platform. */
#ifndef VS_BOOT_H
#define VS_BOOT_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the arguments, finds out the platform, makes /dev, /proc and /sys usable, opens the log. */
void boot_prepare(int argc, char **argv);
/* Does the same for a process that serves root shells, as far as process 1 has not done it. */
void boot_prepare_session(void);
/* Loads modules on a machine, and opens the channel, non-blocking. -1 after logging why. */
int boot_open_channel(void);
/* Whether the open channel takes pages of a pipe. */
bool boot_can_splice(void);
/* How long to wait for the host's first byte. */
uint64_t boot_handshake_us(void);

#endif
