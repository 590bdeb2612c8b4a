/* Starts and ends passt. */
#ifndef VS_PASST_H
#define VS_PASST_H

#include <sys/types.h>

/* The descriptor under which passt finds its connection. */
#define PASST_FD 3

/* Executes passt with this connection. Returns only after a message on stderr. */
void passt_exec(char *const argv[], int connection);

/* Starts passt. Returns its process ID and sets `connection` to its socket; -1 after a message on stderr. */
pid_t passt_start(char *const argv[], int *connection);

/* Waits for passt, whose connection is closed, and kills it if it does not end by itself. */
void passt_end(pid_t pid);

#endif
