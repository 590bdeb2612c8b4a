/*
 * The owner of a state directory is its launcher. The file `owner` in it has `PID START SPHERE`: the process, when it
 * was started, and where it has that ID, which is this boot and a PID namespace. A directory appears with this file in
 * it. Without it, a process has died while removing the directory.
 */
#ifndef VS_OWNER_H
#define VS_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether it lives and is not `caller`. True also where that cannot be known. */
bool owner_lives(const char *directory, pid_t caller);

/* Whether `lock` is a descriptor of the file still; for -1, whether there is no file. */
bool owner_is(const char *directory, int lock);

/* Whether its ID is one of this boot and of this PID namespace, so that owner_lives() is right about it. */
bool owner_was_here(const char *directory);

#endif
