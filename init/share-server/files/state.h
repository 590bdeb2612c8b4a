/* What is served, how, and what the guest knows of it. */
#ifndef VS_FILES_STATE_H
#define VS_FILES_STATE_H

#include "files/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Files that the guest knows, at most. One that looks at more gets ENFILE until it forgets some, as it does when its memory
 * is short: of each it has some 1,000 bytes, and this program 300.
 */
#define FILES_NODES 1000000

/* Descriptors of directories that are kept, at most. */
#define FILES_DIRECTORIES 1024

/* Files that the guest has open, at most. Each open directory takes a buffer. */
#define FILES_HANDLES 65536

enum files_cache {
	/* The guest asks each time. */
	FILES_CACHE_NEVER,
	/* It asks again after a second, and keeps what has not changed. */
	FILES_CACHE_AUTO,
	/* What it has read stays for a day. */
	FILES_CACHE_ALWAYS,
};

/* How files are shown. */
struct files_options {
	/* A descriptor of the directory that is served. */
	int root;
	enum files_cache cache;
	/* The guest is told which directories are mount points. */
	bool announces_mounts;
	/*
	 * overlayfs has it as its lower layer, and opens what it copies no content of: directories in which something is
	 * created, and empty files. So these can be opened though they may not be read.
	 */
	bool is_below_overlay;
	/*
	 * There, another one than all earlier servers had, so that a file handle that overlayfs has kept of one names no
	 * file of this one. Elsewhere 0: Linux has no other for a mount point that it is told of, and finds such stale.
	 */
	uint32_t generation;
	/* Files that these own are shown as root's; (uid_t)-1 and (gid_t)-1: nobody's are. */
	uid_t nobody;
	gid_t nogroup;
	/* This process may have so many descriptors. */
	unsigned long descriptors;
	/* The guest may know so many files, the root too. */
	size_t nodes;
	/* After so many seconds without a change, a change has another time for sure. 0: never. files/cache.h */
	uint32_t settled;
};

struct node;
struct handle;

struct files {
	struct files_options options;

	struct table by_id;
	struct table by_identity;
	struct node *root;
	/* Never given again. */
	uint64_t next_id;

	/* Directories with a descriptor, from the one that was used last. The root is none of them. */
	struct node *newest;
	struct node *oldest;
	size_t directories;
	size_t most_directories;

	/* By number; NULL: that number is free. */
	struct handle **handles;
	uint32_t handles_room;
	uint32_t handles_count;
	uint32_t handles_most;
	/* Before this, no number is free. */
	uint32_t handles_from;
	uint32_t next_generation;

	/* What the guest and this program both know. */
	bool knows_mounts;
};

#endif
