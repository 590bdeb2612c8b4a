/* The user that the server of a root is. */
#ifndef VS_USER_H
#define VS_USER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * A program that is started by a link of one of these names serves the root of a sandbox, as the owner of the link. The
 * flat one is for overlayfs: it hides which directories are mount points, and opens what may not be read where there is
 * nothing to read. The saved one serves a machine
 * that is saved: vhost/device.h
 */
#define ROOT_SERVER "root-server"
#define FLAT_ROOT_SERVER "flat-root-server"
#define SAVED_ROOT_SERVER "saved-root-server"

struct user {
	uid_t uid;
	gid_t gid;
};

/* Whether `program`, argv[0], is such a link. *flat and *saved become whether it is that one. */
bool user_is_wanted(const char *program, bool *flat, bool *saved);

/* Reads the owner of the link. False with errno if it is none, or root's. */
bool user_of_link(const char *program, struct user *user);

/* Whether it is whoever runs this process, which is in a user namespace then and no root there. */
bool user_is_self(const struct user *user);

/* Becomes the user, in no other group if there can be another user, and without a capability. NULL, or what failed with errno. */
const char *user_become(const struct user *user);

#endif
