/* One call of the host: its arguments, its result, and what failed. */
#ifndef VS_CALL_H
#define VS_CALL_H

#include "transport/codec.h"
#include "util/macros.h"

/*
 * What an operation returns, besides 0 and errno values, if it goes on in the background. It ends with
 * call->complete().
 */
#define CALL_PENDING (-1)
#define CALL_DETAIL_BYTES 1024

struct call {
	/* The operation's name. */
	const char *name;
	/* A test build refuses it. */
	bool changes_machine;
	struct reader arguments;
	struct writer result;
	/* What failed, with its arguments. */
	char detail[CALL_DETAIL_BYTES];
	/* Answers a call that was pending. */
	void (*complete)(int error);
};

/*
 * Ends the reading of arguments. Returns 0, or the error of their encoding. A test build also refuses here what would
 * change its machine.
 */
int call_arguments(struct call *call);
/* Records what failed, appends the text of the error, and returns `error`. */
int call_fail(struct call *call, int error, const char *format, ...) PRINTF(3, 4);

#endif
