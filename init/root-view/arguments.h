/* What the command line asks for. */
#pragma once

#include "disks.h"
#include "server.h"
#include "view.h"

#include <stdbool.h>

enum where { NOWHERE, PRIVATE, DAEMON, USER };

struct arguments {
	enum where where;
	/* The daemon's; NULL: there is none. */
	const char *socket;
	bool or_all;
	/* A directory of the host, and what COMMAND finds there in its place. NULL: there is none. */
	const char *replaced;
	const char *replacement;
	bool no_network;
	/* NULL if the view has no root. */
	const char *link;
	struct view view;
	struct disks disks;
	struct server server;
	/* Ends with NULL; empty: none. */
	char **command;
};

/*
 * Reads the words behind the program's name. `entries` and `disks` have room for as many, and become the view's. False
 * for words that make no sense.
 */
bool arguments_parse(char **at, struct arguments *options, struct view_entry *entries, struct disk *disks);
