/* The application: from SPAWN to its wait status. */
#ifndef VS_APP_H
#define VS_APP_H

#include "util.h"

#include <sys/types.h>

/* The descriptor that becomes readable when it is known whether execve succeeded, or -1. */
int app_poll_fd(void);
void app_exec_event(void);
/* For every child that was reaped; other children than the application are ignored. */
void app_reaped(pid_t pid, int status);

/* Looks at what is to be done by now; call it in every turn. */
void app_step(void);
/* When app_step() has to be called next at the latest, or UINT64_MAX. */
uint64_t app_deadline(void);
/* It has ended and all its output was sent. */
bool app_finished(void);
int app_status(void);
/* When it was reaped, by time_now(); 0 before. */
uint64_t app_ended_at(void);

#endif
