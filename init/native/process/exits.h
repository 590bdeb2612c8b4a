/* How processes of the table end: their time, the rest of their output, and EXIT. */
#ifndef VS_EXITS_H
#define VS_EXITS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Does what is due at `now`, in every turn. That is a time before the descriptors were polled: what came until then is
 * known.
 */
void exits_step(uint64_t now);
/* Whether exits_step() has something to do. */
bool exits_ready(void);
/* When to call exits_step() at the latest, or UINT64_MAX. */
uint64_t exits_deadline(void);
/* Whether the application has ended and all its output was sent. Nothing is started any more then. */
bool application_finished(void);
/*
 * Sends its EXIT, the last packet, and forgets all processes. `drained` is when all its output was sent and what it left
 * running was killed, by clock_now().
 */
void application_send_exit(uint64_t drained);

#endif
