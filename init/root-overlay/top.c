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

int top_copy(const char *lower, const char *upper)
{
	struct stat status;

	if (stat(lower, &status) != 0 || mkdir(upper, 0700) != 0 || chown(upper, status.st_uid, status.st_gid) != 0 ||
	    chmod(upper, status.st_mode & PERMISSIONS) != 0)
		return -1;
	if (copy_attribute(lower, upper, "system.posix_acl_access") != 0)
		return -1;
	return copy_attribute(lower, upper, "system.posix_acl_default");
}
