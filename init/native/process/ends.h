/* The streams of a process that is to start: pipes or a terminal, our ends and its own. */
#ifndef VS_ENDS_H
#define VS_ENDS_H

#include "process/child.h"
#include "transport/call.h"

struct ends {
	int in;
	int out;
	int err;
};

#define NO_ENDS ((struct ends){-1, -1, -1})

/* Each returns 0, or the error that it recorded in the call. What is open then is in `ours` and `theirs`. */
int ends_open_pipes(struct call *call, const struct child *child, struct ends *ours, struct ends *theirs);
/* *terminal_fd gets our side of the terminal, besides those in `ours`. */
int ends_open_terminal(struct call *call, const struct child *child, uint32_t rows, uint32_t columns, int *terminal_fd,
		       struct ends *ours, struct ends *theirs);
/* Beside a terminal: the child's descriptor for its trace, whose other end takes the place of stderr. */
int ends_open_trace(struct call *call, struct child *child, struct ends *ours);
void ends_close(struct ends *ends);

#endif
