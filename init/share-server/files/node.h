/*
 * What the guest knows of a file: its number, where it was found, and how often it was told. A node has no descriptor of
 * its own, but for directories that were used lately (files/directories.h). A file is found again by its name in its
 * parent, and is the same if its identity is.
 */
#ifndef VS_FILES_NODE_H
#define VS_FILES_NODE_H

#include "files/state.h"
#include "files/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* Which file it is. A number of an inode may come to belong to another file. So it has its time of birth too. */
struct identity {
	uint64_t device;
	uint64_t inode;
	uint64_t mount;
	/* When it was made, where the file system knows. */
	int64_t seconds;
	uint32_t nanoseconds;
	/* S_IFMT */
	uint32_t kind;
	/* Of a symbolic link, a hash of its target, which the guest keeps as long as it knows the node. */
	uint64_t target;
};

/* What changes where the content does. */
struct version {
	uint64_t size;
	int64_t mtime;
	int64_t ctime;
	uint32_t mtime_nanoseconds;
	uint32_t ctime_nanoseconds;
};

struct node {
	struct link by_id;
	struct link by_identity;
	uint64_t id;
	struct identity identity;
	/* Where it was found last. NULL and "" for the root. */
	struct node *parent;
	char *name;
	/* How often the guest was told of it and has not forgotten it. */
	uint64_t lookups;
	/* Nodes whose parent it is. */
	uint64_t children;
	/* Those that the guest has open. */
	struct handle *opened;
	/* Of a directory; -1: none. */
	int descriptor;
	struct node *newer;
	struct node *older;
	/* What it was when the guest opened it last, if that can be told from what it was later. */
	struct version seen;
	bool has_seen;
};

struct identity node_identity(const struct status *status);

bool identity_equals(const struct identity *one, const struct identity *other);

/* Whether what was found is the node's file. */
bool node_is(const struct node *node, const struct status *status);

#endif
