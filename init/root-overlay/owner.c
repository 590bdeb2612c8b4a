#include "owner.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whom 0 is. False if it is nobody. */
static bool find_root(const struct id_map *map, uint32_t *id)
{
	for (size_t i = 0; i < map->count; i++) {
		if (map->ranges[i].inside == 0) {
			*id = map->ranges[i].outside;
			return true;
		}
	}
	return false;
}

/* setfsuid(2) says only who it was before, so it is asked twice. */
static bool set_ids(uint32_t uid, uint32_t gid)
{
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	return (uint32_t)setfsgid((gid_t)-1) == gid && (uint32_t)setfsuid((uid_t)-1) == uid;
}

int owner_become(const struct id_map *uids, const struct id_map *gids)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t uid;
	uint32_t gid;

	if (!find_root(uids, &uid) || !find_root(gids, &gid) || !set_ids(uid, gid)) {
		errno = EINVAL;
		return -1;
	}
	/* Another user for files has lost those for files. capabilities(7) */
	if (syscall(SYS_capget, &header, data) != 0)
		return -1;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = data[i].permitted;
	return syscall(SYS_capset, &header, data) == 0 ? 0 : -1;
}
