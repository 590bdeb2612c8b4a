#include "builtins/builtins.h"

#include "builtins/unfinished.h"
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
	{"connect", 1, builtin_connect},
	{"connect-udp", 1, builtin_connect_udp},
	{"list", 1, builtin_list},
	{"mkdir", 3, builtin_mkdir},
	{"read", 1, builtin_read},
	{"remove", 3, builtin_remove},
	{"rename", 2, builtin_rename},
	{"stat", 2, builtin_stat},
	{"watch", 2, builtin_watch},
	{"write", 3, builtin_write},
	{"pack", 1, builtin_pack},
	{"unpack", 2, builtin_unpack},
	{"layer", 1, builtin_layer},
	{"freeze", 1, builtin_freeze},
	{"watch-screen", 1, builtin_watch_screen},
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

	unfinished_remove();
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

uint32_t builtin_number(const char *text, uint32_t most)
{
	uint64_t value = 0;

	for (const char *at = text; *at != '\0'; at++) {
		if (*at < '0' || *at > '9' || value > most)
			builtin_fail(EINVAL, "a number: %s", text);
		value = 10 * value + (uint64_t)(*at - '0');
	}
	if (*text == '\0' || value > most)
		builtin_fail(EINVAL, "a number: %s", text);
	return (uint32_t)value;
}

bool builtin_flag(const char *text)
{
	return builtin_number(text, 1) != 0;
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
