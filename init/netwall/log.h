/* Messages for the launcher: one line each on stderr. */
#ifndef VS_LOG_H
#define VS_LOG_H

void log_line(const char *text);

/* `what`, and what errno says. */
void log_errno(const char *what);

#endif
