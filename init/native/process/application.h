/* The application: from the call that starts it to its wait status. */
#ifndef VS_APPLICATION_H
#define VS_APPLICATION_H

#include "process/child.h"
#include "transport/call.h"

/* Whether it was started, even if it has ended. */
bool application_exists(void);
/*
 * Starts it, on a terminal of that size if the child has one, with a pipe for its trace if that is asked for. Returns CALL_PENDING,
 * or the error that it recorded in the call.
 */
int application_start(struct call *call, struct child *child, uint32_t rows, uint32_t columns, bool trace);
/* Sends a signal to the terminal's foreground process group, or to the application's own. */
int application_signal(struct call *call, uint32_t number);
int application_resize(struct call *call, uint32_t rows, uint32_t columns);

/* The descriptor that becomes readable when it is known whether execve succeeded, or -1. */
int application_report_fd(void);
void application_exec_event(void);
/* Takes note of a child that was reaped, if it is the application. */
void application_child_ended(pid_t pid, int status);

/* Does what is due by now. Call it in every turn. */
void application_step(void);
/* When application_step() has to be called next at the latest, or UINT64_MAX. */
uint64_t application_deadline(void);
/* Whether it has ended and all its output was sent. */
bool application_finished(void);
int application_status(void);
/* When it was reaped, by clock_now(); 0 before. */
uint64_t application_ended_at(void);

#endif
