/* What the init has to say to a person, one line each on the console: "init: ...". */
#ifndef VS_LOG_H
#define VS_LOG_H

#include "util/macros.h"

/* Opens the console. `console` may be NULL: then lines are dropped, because the only console is the channel. */
void log_open(const char *console);
void log_enable_debug(void);

void log_line(const char *format, ...) PRINTF(1, 2);
void log_debug(const char *format, ...) PRINTF(1, 2);

/* Waits, bounded, until the console has sent what was written: a power off would cut it short. */
void log_drain(void);

#endif
