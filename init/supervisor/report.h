/* What the supervisor tells the launcher: main.c says in which lines. */
#ifndef VS_REPORT_H
#define VS_REPORT_H

/* The launcher may be gone, which is what this process is for. */
void report(const char *text);

/* Reports that the supervisor cannot do its work, with errno. Its exit status. */
int report_failure(const char *what);

#endif
