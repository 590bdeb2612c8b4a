#include "builtins/builtins.h"

#include "shared/write_all.h"
#include "util/macros.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Longer than any path. */
#define REPORT_BYTES 8192

static const struct builtin {
	const char *name;
	int arguments;
	void (*run)(char **argv);
} builtins[] = {
	{"read", 1, builtin_read},
};

static const struct builtin *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(builtins); i++) {
		if (strcmp(builtins[i].name, name) == 0)
			return &builtins[i];
	}
	return NULL;
}

bool builtin_exists(const char *name)
{
	return find(name) != NULL;
}

_Noreturn void builtin_fail(int error, const char *format, ...)
{
	uint8_t report[REPORT_BYTES];
	va_list arguments;
	int size;

	for (int i = 0; i < 4; i++)
		report[i] = (uint8_t)((uint32_t)error >> (24 - 8 * i));
	va_start(arguments, format);
	size = vsnprintf((char *)report + 4, sizeof(report) - 4, format, arguments);
	va_end(arguments);
	if (size < 0)
		size = 0;
	if ((size_t)size > sizeof(report) - 5)
		size = sizeof(report) - 5;
	/* A host that does not listen has its reason from the exit status. */
	(void)write_all(STDERR_FILENO, report, 4 + (size_t)size);
	_exit(BUILTIN_FAILED);
}

_Noreturn void builtin_run(char **argv)
{
	const struct builtin *builtin = find(argv[0]);
	int count = 0;

	while (argv[1 + count] != NULL)
		count++;
	if (builtin == NULL)
		builtin_fail(ENOSYS, "%s", argv[0]);
	if (count != builtin->arguments)
		builtin_fail(EINVAL, "%s: %d arguments", argv[0], count);
	builtin->run(argv + 1);
	_exit(0);
}
