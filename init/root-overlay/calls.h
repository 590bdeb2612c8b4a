/* System calls that C libraries have no functions for yet. */
#pragma once

#include <stdbool.h>

/* openat2(2), O_PATH: a path below a directory, without any symbolic link; "" is the directory. */
int open_below(int directory, const char *path);

/* open_tree(2): a copy of the mount at that descriptor, attached nowhere. */
int clone_mount(int fd);

/* mount_setattr(2), Linux 5.12: makes that copy read-only, and files in it belong to others; `ids` < 0: to the same. */
int restrict_mount(int mount, int ids);

/*
 * mount_setattr(2): leaves that copy writable, with `ids` as above. In it no program runs, no device works, and no link
 * is followed.
 */
int defuse_mount(int mount, int ids);

/* move_mount(2): attaches that copy, or moves a mount with those below it. */
int attach_mount(int mount, int target);
