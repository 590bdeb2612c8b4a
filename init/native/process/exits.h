/* How processes of the table end: their time, the rest of their output, and EXIT. */
#ifndef VS_EXITS_H
#define VS_EXITS_H

#include <stdbool.h>
#include <stdint.h>

/* Does what is due by now. Call it in every turn. */
void exits_step(void);
/* Whether exits_step() has something to do. */
bool exits_ready(void);
/* When to call exits_step() at the latest, or UINT64_MAX. */
uint64_t exits_deadline(void);
/* Sends EXIT for each process that was reaped, but for the application. For the time when no output counts any more. */
void exits_send_others(void);

/* Whether the application has ended and all its output was sent. */
bool application_finished(void);
/* Sends its EXIT. `drained` is when all its output was sent and what it left running was killed, by clock_now(). */
void application_send_exit(uint64_t drained);

#endif
