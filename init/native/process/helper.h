/* A helper program, run to its end while everything else goes on. One runs at a time. */
#ifndef VS_HELPER_H
#define VS_HELPER_H

#include "process/child.h"
#include "transport/call.h"

/* Starts it with `text` on its stdin. Returns CALL_PENDING, or the error that it recorded in the call. */
int helper_start(struct call *call, struct child *child, struct span text, uint32_t timeout_ms);

/* Records the end of the child that was reaped, if it is the helper. */
void helper_child_ended(pid_t pid, int status);
/* Descriptors to poll, or -1: the report of execve and the output for reading, the input for writing. */
int helper_report_fd(void);
int helper_out_fd(void);
int helper_in_fd(void);
/* Moves everything that can move without waiting. */
void helper_step(void);
/* When the helper is killed, or UINT64_MAX. */
uint64_t helper_deadline(void);

#endif
