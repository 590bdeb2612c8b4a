/* What is asked for on the command line. */
#pragma once

#include "shared/id_namespace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As many as user_namespace.h of the native init takes, and a range between each two. */
#define MAX_RANGES 192
#define MAX_GROUPS 65536
#define MAX_EMPTY_FILES 64

struct id_map {
	struct id_range ranges[MAX_RANGES];
	size_t count;
};

struct arguments {
	const char *root;
	uint64_t bytes;
	/* Where the upper layers are kept; NULL: in memory. */
	const char *kept;
	/* How long to wait for another container that has them and ends. */
	uint64_t wait_seconds;
	bool has_reader;
	uid_t uid;
	gid_t gid;
	gid_t groups[MAX_GROUPS];
	size_t group_count;
	bool is_image;
	/* Relative to the root. */
	const char *empty_files[MAX_EMPTY_FILES];
	size_t empty_file_count;
	struct id_map uids;
	struct id_map gids;
};

/* False for a command line that is not understood. */
bool arguments_parse(int argc, char *argv[], struct arguments *options);
