/* The application: from the call that starts it to its wait status. */
#ifndef VS_APPLICATION_H
#define VS_APPLICATION_H

#include "process/child.h"
#include "transport/call.h"

/* Whether it was ever started. */
bool application_exists(void);
/*
 * Starts it on a terminal of that size or on pipes, as the child says; with `trace`, it also gets a pipe for its trace.
 * Returns CALL_PENDING, or the error that it recorded in the call.
 */
int application_start(struct call *call, struct child *child, uint32_t rows, uint32_t columns, bool trace);
/* Signals the foreground process group of the terminal, or the application's group if it has no terminal. */
int application_signal(struct call *call, uint32_t number);
int application_resize(struct call *call, uint32_t rows, uint32_t columns);

/* The descriptor that becomes readable when the result of execve is known, or -1. */
int application_report_fd(void);
void application_exec_event(void);
/* Records the end of the child that was reaped, if it is the application. */
void application_child_ended(pid_t pid, int status);

/* Does what is due by now. Call it in every turn. */
void application_step(void);
/* When to call application_step() at the latest, or UINT64_MAX. */
uint64_t application_deadline(void);
/* Whether it has ended and all its output was sent. */
bool application_finished(void);
int application_status(void);
/* When it was reaped, by clock_now(); 0 before. */
uint64_t application_ended_at(void);

#endif
