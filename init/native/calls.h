/* Operations: taking them in order, skipping behind a failed one, answering each. */
#ifndef VS_CALLS_H
#define VS_CALLS_H

#include "codec.h"

/* What an operation returns besides 0 and errno values: it goes on, and calls_complete() will be called. */
#define CALL_PENDING (-1)

struct call {
	struct reader arguments;
	struct writer result;
	/* What failed, with its arguments. */
	char detail[1024];
};

typedef int operation_function(struct call *call);

/* Carries out a call or keeps it for later; false when there is no place for it now, and the same call has to be offered again. */
bool calls_accept(const struct packet_header *header, const uint8_t *payload, size_t size);
/* Carries out what was kept, where that is possible now. */
void calls_resume(void);
/* Whether calls_resume() would do something. */
bool calls_ready(void);

/*
 * For operations, after reading the arguments: 0, or the error of their encoding. In a build for tests, it also refuses what would
 * change the machine it runs on.
 */
int call_arguments(struct call *call);
/* Says what failed; returns `error`. The text of the error is added. */
int call_fail(struct call *call, int error, const char *format, ...) PRINTF(3, 4);
/* The pending operation is done; its results are in its call's writer. */
void calls_complete(int error);
/* The call that is pending. */
struct call *calls_pending(void);

#endif
