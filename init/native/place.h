/* Where this runs, and what that means: the only part that tells a machine from a container. */
#ifndef VS_PLACE_H
#define VS_PLACE_H

#include "util.h"

/* PLACE_SESSION: not process 1, but a process that it started; see sessions.h. */
enum place { PLACE_MACHINE, PLACE_CONTAINER, PLACE_TEST, PLACE_SESSION };

enum place place(void);

/* Reads the arguments, makes /dev, /proc and /sys usable, opens the log. */
void place_prepare(int argc, char **argv);
/* The same for a process that serves sessions, where the rest was done by process 1. */
void place_prepare_session(void);
/* Opens what carries packets, a port or a terminal, non-blocking; `directory` as in openat(2). -1 after saying why. */
int place_open_line(int directory, const char *path);
/* Loads modules where that is to be done and opens the channel, non-blocking. -1 after saying why. */
int place_open_channel(void);
/* Whether the channel that was opened takes pages of a pipe. */
bool place_can_splice(void);
/* How long to wait for the host's first byte. */
uint64_t place_handshake_us(void);
/* The end of this process, and of the machine it runs. */
_Noreturn void place_leave(void);

#endif
