/* What the supervisor is told to do: see main.c. */
#ifndef VS_ARGUMENTS_H
#define VS_ARGUMENTS_H

#include <stdbool.h>

struct arguments {
	const char *directory;
	/* NULL: none. */
	const char *log;
	const char *begin;
	bool kill;
	bool small_pages;
	/* COMMAND and what it is given; the first is NULL if there is none. */
	char **command;
};

/* False if they make no sense, which is said on stderr then. */
bool arguments_parse(struct arguments *arguments, char *argv[]);

#endif
