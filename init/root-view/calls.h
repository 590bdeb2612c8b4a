/* System calls that C libraries have no functions for yet, or not all of them. */
#pragma once

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/types.h>

/* open_tree(2): a copy of the mount at PATH, attached nowhere; with AT_RECURSIVE also of those below it. */
int clone_mount(const char *path, unsigned int flags);

/* move_mount(2): attaches that copy to a file or directory. */
int attach_mount(int mount, int target);

/*
 * mount_setattr(2), Linux 5.12: makes that copy read-only and deaf to what is mounted elsewhere, and takes the meaning
 * from device nodes and setuid bits.
 */
int restrict_mount(int mount, unsigned int flags);

/*
 * The same call: makes files in that copy belong to other users, as a user namespace says, and read-only if that is asked
 * for. It takes the meaning from device nodes, setuid bits and programs.
 */
int map_mount(int mount, int ids, bool read_only);

/* openat2(2), O_PATH: a path in a tree that no link leads out of. */
int open_inside(int root, const char *path, unsigned long long resolve);

/* pidfd_open(2) */
int open_process(pid_t pid);

/* The same of its parent; -1 if that is not known. */
int open_parent(pid_t pid);

/* The directory that a path is in, O_PATH; -1 without one. */
int open_directory_of(const char *path);
