/* What is in the file system of small_fs.h, and what others do to it. */
#ifndef FUZZ_SMALL_FS_NODES_H
#define FUZZ_SMALL_FS_NODES_H

#include "harness/input.h"

#include <stdbool.h>
#include <sys/types.h>

#define FS_NAME_BYTES 256
#define FS_ME 1
#define FS_OTHER 2

/* An inode. The first is the place of the tree. */
struct fs_node {
	mode_t type;
	uid_t owner;
	int above;
};

struct fs_entry {
	int directory;
	int node;
	/* Whatever it is called: all but a directory gets its name when it is whole. */
	bool is_unfinished;
	char name[FS_NAME_BYTES];
};

extern struct fs_node fs_nodes[];
extern struct fs_entry fs_entries[];
extern int fs_entry_count;

/* The function of the system, and the one in its place. */
#define REPLACE(type, name, parameters) \
	type __real_##name parameters;  \
	type __wrap_##name parameters

/* Whether calls are answered here. */
extern bool fs_is_on;
/* What is still to come from standard input. */
extern struct piece fs_input;

/* Only the place is there, and no descriptor is open. */
void fs_reset(struct input *events, struct piece standard_input);

/* Sets errno. Returns -1. */
int fs_fail(int error);
/* Whether others, or the file system, have a call fail; mostly not. */
bool fs_fails(void);
/* The next byte of what others do. */
uint8_t fs_event(void);

/* The inode of an open descriptor. */
int fs_node_of(int fd);
int fs_new_fd(int node);
void fs_close(int fd);

/* These return -1 with errno set if there is no room. */
int fs_new_node(mode_t type, uid_t owner, int above);
/* Makes an entry with an inode of its own, or finds out that it may not be made. */
int fs_make_entry(int fd, const char *name, mode_t type);
/* Before an entry is made: checks that it may be. Returns the directory. */
int fs_check_making(int fd, const char *name);

/* NULL: there is none. */
struct fs_entry *fs_find(int directory, const char *name);
void fs_add_entry(int directory, int node, const char *name);
void fs_remove_entry(struct fs_entry *entry);

/* Checks that it is the name of an entry. */
void fs_check_name(const char *name);
/* Now and then what was made becomes another's, or a link, before it is opened. */
void fs_exchange(int fd, const char *name);

#endif
