/* A file or a directory that the guest has open, by a number that is not given again soon. */
#ifndef VS_FILES_HANDLE_H
#define VS_FILES_HANDLE_H

#include "files/nodes.h"

#include <stdbool.h>
#include <stdint.h>

/* Entries of a directory that are read at once: with what else is there, less than a page. */
#define HANDLE_ENTRIES_BYTES 4000

/* Of a directory: what was read and the guest has not got yet. */
struct entries {
	_Alignas(8) uint8_t bytes[HANDLE_ENTRIES_BYTES];
	size_t at;
	size_t end;
	/* Where the entry at `at` begins, as the file system counts. */
	int64_t offset;
};

struct handle {
	uint64_t number;
	int descriptor;
	struct node *node;
	/* The next of those of its node. */
	struct handle *next;
	struct handle *previous;
	/* NULL: it is a file. */
	struct entries *entries;
};

/*
 * Adds one for a descriptor, which is the handle's from now on, but not if it fails. Returns 0, or ENFILE or ENOMEM.
 */
int handle_open(struct files *files, struct node *node, int descriptor, struct handle **handle);

/* The one of a number that the guest has named; NULL: it has none open. */
struct handle *handle_of(const struct files *files, uint64_t number);

/* Closes it. Its node may be gone then. */
void handle_close(struct files *files, struct handle *handle);

#endif
