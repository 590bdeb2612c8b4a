#include "user.h"

#include "capabilities.h"
#include "link.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TO_CHANGE ((UINT64_C(1) << CAP_SETUID) | (UINT64_C(1) << CAP_SETGID))

bool user_is_wanted(const char *program, bool *flat, bool *saved)
{
	const char *name = link_name(program);

	*flat = strcmp(name, FLAT_ROOT_SERVER) == 0;
	*saved = strcmp(name, SAVED_ROOT_SERVER) == 0;
	return *flat || *saved || strcmp(name, ROOT_SERVER) == 0;
}

bool user_of_link(const char *program, struct user *user)
{
	struct stat link;

	if (lstat(program, &link) != 0)
		return false;
	if (!S_ISLNK(link.st_mode) || link.st_uid == 0 || link.st_gid == 0) {
		errno = EPERM;
		return false;
	}
	*user = (struct user){.uid = link.st_uid, .gid = link.st_gid};
	return true;
}

bool user_is_self(const struct user *user)
{
	return user->uid == geteuid();
}

const char *user_become(const struct user *user)
{
	const char *failed = capabilities_bound(0);

	/* In a user namespace there is nobody else, and nobody may leave the groups. */
	if (failed == NULL && user_is_self(user))
		return capabilities_limit(0, 0);
	if (failed == NULL)
		failed = capabilities_limit(0, TO_CHANGE);
	if (failed != NULL)
		return failed;
	if (setgroups(0, NULL) != 0)
		return "setgroups";
	if (setresgid(user->gid, user->gid, user->gid) != 0)
		return "setresgid";
	if (setresuid(user->uid, user->uid, user->uid) != 0)
		return "setresuid";
	/* The kernel has taken the last ones already, unless it was told not to: capabilities(7), securebits. */
	return capabilities_drop();
}
