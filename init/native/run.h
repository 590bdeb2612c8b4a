/* A helper program run to its end while everything else goes on. */
#ifndef VS_RUN_H
#define VS_RUN_H

#include "util.h"

#include <sys/types.h>

void run_reaped(pid_t pid, int status);
/* Descriptors to poll, or -1: the report of execve and the output for reading, the input for writing. */
int run_report_fd(void);
int run_out_fd(void);
int run_in_fd(void);
/* Moves everything that can be moved without waiting. */
void run_step(void);
/* When the helper is killed, or UINT64_MAX. */
uint64_t run_deadline(void);

#endif
