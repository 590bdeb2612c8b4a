/* Signals to this process, as a descriptor to poll. */
#ifndef VS_SIGNALS_H
#define VS_SIGNALS_H

#include <stdbool.h>

/* Blocks every signal and opens the descriptor that reports those that matter; -1 with errno. */
int signals_open(void);
int signals_fd(void);
/* Takes all signals that have arrived. True if one asks this process to stop. */
bool signals_read(void);
/* Takes and ignores all signals that have arrived, after a poll() that only waited for one. */
void signals_discard(void);

#endif
