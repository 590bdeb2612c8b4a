#include "process/user_namespace.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

struct id_map {
	struct id_range ranges[USER_NAMESPACE_MAX_RANGES];
	size_t count;
};

static int namespace_fd = -1;
static struct id_map uid_map;
static struct id_map gid_map;

static uint32_t outside(const struct id_map *map, uint32_t inside)
{
	if (namespace_fd < 0)
		return inside;
	for (size_t i = 0; i < map->count; i++) {
		const struct id_range *range = &map->ranges[i];

		if (inside >= range->inside && inside - range->inside < range->count)
			return range->outside + (inside - range->inside);
	}
	return UINT32_MAX;
}

int user_namespace_fd(void)
{
	return namespace_fd;
}

uint32_t user_namespace_uid(uint32_t inside)
{
	return outside(&uid_map, inside);
}

uint32_t user_namespace_gid(uint32_t inside)
{
	return outside(&gid_map, inside);
}

/* Another file system user costs effective capabilities, which come back from the permitted ones. capabilities(7) */
static int own_files(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	(void)setfsgid(user_namespace_gid(0));
	(void)setfsuid(user_namespace_uid(0));
	if (syscall(SYS_capget, &header, data) < 0)
		return errno;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = data[i].permitted;
	return syscall(SYS_capset, &header, data) < 0 ? errno : 0;
}

int user_namespace_make(const struct id_range *uids, size_t uid_count, const struct id_range *gids, size_t gid_count,
			const char **step)
{
	*step = "ranges";
	if (namespace_fd >= 0)
		return EBUSY;
	if (uid_count > USER_NAMESPACE_MAX_RANGES || gid_count > USER_NAMESPACE_MAX_RANGES)
		return E2BIG;
	memcpy(uid_map.ranges, uids, uid_count * sizeof(*uids));
	memcpy(gid_map.ranges, gids, gid_count * sizeof(*gids));
	uid_map.count = uid_count;
	gid_map.count = gid_count;
	namespace_fd = id_namespace_open(uids, uid_count, gids, gid_count, step);
	if (namespace_fd < 0)
		return errno;
	*step = "capset";
	return own_files();
}
