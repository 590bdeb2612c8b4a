/* The namespace that a view is mounted in. */
#pragma once

/*
 * A mount namespace of its own. Mounts of the host still reach it, and none of its own reach the host. Others are given
 * as flags of unshare(2).
 */
int enter_own_mounts(int others);

/*
 * The same in a user namespace of its own, where this user is the only one, under the same number, and may mount. Files
 * of others have no owner as seen from inside; from outside, through /proc/PID/root, all is as ever.
 */
int enter_own_user(void);

/*
 * The mount namespace of the daemon that listens on a Unix socket. This process stays in its own if it may not know
 * which that is.
 */
int enter_mounts_of_daemon(const char *socket_path);
