/* Log lines for a person, on the console: "init: ...". */
#ifndef VS_LOG_H
#define VS_LOG_H

#include "util/macros.h"

/* Opens the console. NULL drops all lines, because the only console is the channel. */
void log_open(const char *console);
void log_enable_debug(void);

void log_line(const char *format, ...) PRINTF(1, 2);
void log_debug(const char *format, ...) PRINTF(1, 2);

/* Waits, within a time limit, until the console has sent what was written. A power off would cut it short. */
void log_drain(void);

#endif
