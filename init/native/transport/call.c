#include "transport/call.h"

#include "util/macros.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Long arguments are cut to leave room for the text of the error, which matters most. */
#define ERROR_TEXT_BYTES 128

int call_arguments(struct call *call)
{
	int error = reader_finish(&call->arguments);

	if (error != 0)
		return call_fail(call, error, "%s: arguments", call->name);
#ifdef VS_FUZZ
	return call_fail(call, EPERM, "%s", call->name);
#endif
	if (TEST_BUILD && call->changes_machine)
		return call_fail(call, EPERM, "%s in a build for tests", call->name);
	return 0;
}

int call_fail(struct call *call, int error, const char *format, ...)
{
	va_list arguments;
	size_t used;

	va_start(arguments, format);
	if (vsnprintf(call->detail, sizeof(call->detail) - ERROR_TEXT_BYTES, format, arguments) < 0)
		call->detail[0] = '\0';
	va_end(arguments);
	used = strlen(call->detail);
	(void)snprintf(call->detail + used, sizeof(call->detail) - used, ": %s", strerror(error));
	return error;
}
