#include "top.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The kernel's largest, XATTR_SIZE_MAX of <linux/limits.h>. */
#define ATTRIBUTE_BYTES 65536
#define PERMISSIONS 07777

/* Without the ACL, those whom it keeps out would come in. acl(5) */
static int copy_attribute(const char *lower, const char *upper, const char *name)
{
	static char value[ATTRIBUTE_BYTES];
	ssize_t size = getxattr(lower, name, value, sizeof(value));

	if (size < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1;
	return setxattr(upper, name, value, (size_t)size, 0);
}

/* Layers that are kept are idmapped. An owner whom nobody is inside has no id there, and the directory stays root's. */
static int copy_owner(const char *upper, uid_t uid, gid_t gid)
{
	if (chown(upper, uid, gid) == 0)
		return 0;
	if (errno != EOVERFLOW)
		return -1;
	if (chown(upper, uid, (gid_t)-1) != 0 && errno != EOVERFLOW)
		return -1;
	return chown(upper, (uid_t)-1, gid) == 0 || errno == EOVERFLOW ? 0 : -1;
}

int top_copy(const char *lower, const char *upper)
{
	struct stat status;

	if (stat(lower, &status) != 0 || mkdir(upper, 0700) != 0 ||
	    copy_owner(upper, status.st_uid, status.st_gid) != 0 || chmod(upper, status.st_mode & PERMISSIONS) != 0)
		return -1;
	if (copy_attribute(lower, upper, "system.posix_acl_access") != 0)
		return -1;
	return copy_attribute(lower, upper, "system.posix_acl_default");
}
