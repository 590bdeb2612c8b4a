#include "arguments.h"
#include "layers.h"
#include "walls.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_OPTION "--fd="
#define DIRECTORY_OPTION "--shared-dir"
#define CACHE_OPTION "--cache"

/* The capabilities that virtiofsd keeps unless it is told otherwise, and the one for file handles. */
static const struct {
	int number;
	const char *name;
} KNOWN[] = {
	{CAP_CHOWN, "chown"},   {CAP_DAC_OVERRIDE, "dac_override"},
	{CAP_FOWNER, "fowner"}, {CAP_FSETID, "fsetid"},
	{CAP_SETGID, "setgid"}, {CAP_SETUID, "setuid"},
	{CAP_MKNOD, "mknod"},   {CAP_SETFCAP, "setfcap"},
};

#define SET(capability) (UINT64_C(1) << (capability))

/* Files are created as the user of the guest's program, or get that owner, and keep their modes. */
#define TO_WRITE \
	(SET(CAP_CHOWN) | SET(CAP_DAC_OVERRIDE) | SET(CAP_FOWNER) | SET(CAP_FSETID) | SET(CAP_SETGID) | SET(CAP_SETUID))

/* To read what belongs to any user, and to open by file handle. */
#define TO_READ SET(CAP_DAC_READ_SEARCH)

bool arguments_find_program(struct arguments *arguments)
{
	static const char *const paths[] = {
		"/usr/libexec/virtiofsd",       "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd",
		"/usr/local/libexec/virtiofsd", "/usr/bin/virtiofsd",
	};

	for (size_t at = 0; at < sizeof(paths) / sizeof(paths[0]); at += 1) {
		arguments->program = paths[at];
		if (access(paths[at], X_OK) == 0)
			return true;
	}
	return false;
}

bool arguments_are_question(int argc, char *const argv[])
{
	static const char *const questions[] = {"--print-capabilities", "--version", "--help"};

	for (size_t at = 0; argc == 2 && at < sizeof(questions) / sizeof(questions[0]); at += 1)
		if (strcmp(argv[1], questions[at]) == 0)
			return true;
	return false;
}

bool arguments_read(struct arguments *arguments, int argc, char *const argv[])
{
	arguments->socket = -1;
	arguments->directory = NULL;
	arguments->read_only = false;
	arguments->cache = "auto";
	for (int at = 1; at < argc; at += 1) {
		if (strncmp(argv[at], SOCKET_OPTION, sizeof(SOCKET_OPTION) - 1) == 0)
			arguments->socket = (int)strtol(argv[at] + sizeof(SOCKET_OPTION) - 1, NULL, 10);
		else if (strcmp(argv[at], DIRECTORY_OPTION) == 0 && at + 1 < argc)
			arguments->directory = argv[++at];
		else if (strcmp(argv[at], CACHE_OPTION) == 0 && at + 1 < argc)
			arguments->cache = argv[++at];
		else if (strncmp(argv[at], CACHE_OPTION "=", sizeof(CACHE_OPTION)) == 0)
			arguments->cache = argv[at] + sizeof(CACHE_OPTION);
		else if (strcmp(argv[at], "--readonly") == 0)
			arguments->read_only = true;
	}
	return arguments->socket > STDERR_FILENO && arguments->directory != NULL;
}

uint64_t arguments_capabilities(const struct arguments *arguments)
{
	if (arguments->read_only)
		return TO_READ;
	uint64_t kept = arguments->handles ? TO_WRITE | TO_READ : TO_WRITE;

	return arguments->layers ? kept | SET(CAP_SETFCAP) : kept;
}

/* `--modcaps=-mknod:…`: the capabilities that virtiofsd would keep and must not. */
static void write_modcaps(struct arguments *arguments)
{
	uint64_t kept = arguments_capabilities(arguments);
	size_t length = (size_t)snprintf(arguments->modcaps, MODCAPS_BYTES, "--modcaps=");
	const char *before = "";

	for (size_t at = 0; at < sizeof(KNOWN) / sizeof(KNOWN[0]); at += 1) {
		if (kept & SET(KNOWN[at].number))
			continue;
		length += (size_t)snprintf(arguments->modcaps + length, MODCAPS_BYTES - length, "%s-%s", before,
					   KNOWN[at].name);
		before = ":";
	}
	if (kept & TO_READ)
		(void)snprintf(arguments->modcaps + length, MODCAPS_BYTES - length, "%s+dac_read_search", before);
}

/* What virtiofsd is told in place of the value of an option; NULL: nothing else. */
static const char *value_for(const struct arguments *arguments, const char *option)
{
	if (arguments->walled && strcmp(option, DIRECTORY_OPTION) == 0)
		return WALLED_SHARE;
	return NULL;
}

bool arguments_complete(struct arguments *arguments, int argc, char *const argv[], unsigned long limit)
{
	size_t count = 0;

	if (argc + 6 > MAX_WORDS)
		return false;
	arguments->words[count++] = arguments->program;
	for (int at = 1; at < argc; at += 1) {
		const char *value = value_for(arguments, argv[at]);

		arguments->words[count++] = argv[at];
		if (value != NULL && at + 1 < argc) {
			arguments->words[count++] = value;
			at += 1;
		}
	}
	write_modcaps(arguments);
	(void)snprintf(arguments->limit, LIMIT_BYTES, "--rlimit-nofile=%lu", limit);
	arguments->words[count++] = arguments->modcaps;
	arguments->words[count++] = arguments->limit;
	if (arguments->handles)
		arguments->words[count++] = "--inode-file-handles=prefer";
	if (arguments->layers) {
		arguments->words[count++] = "--xattr";
		arguments->words[count++] = LAYERS_ATTRIBUTES;
	}
	arguments->words[count] = NULL;
	return true;
}
