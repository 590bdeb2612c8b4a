#include "disks.h"

#include "calls.h"
#include "shared/id_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "disks"
/* virt-aa-helper may read files of this name, wherever they are: AppArmor's profile of it. */
#define NAME "disk.%zu"

/* The ids of one owner, open for the disks that follow. */
struct ids {
	int namespace;
	uid_t uid;
	gid_t gid;
};

size_t disks_inodes(const struct disks *disks)
{
	return disks->count == 0 ? 0 : disks->count + 1;
}

/* The owner becomes QEMU's user. The group becomes one that no process is in: all QEMUs have one group. */
static int open_ids(struct ids *ids, const struct stat *info, uid_t owner)
{
	const struct id_range uid = {.inside = info->st_uid, .outside = owner, .count = 1};
	const struct id_range gid = {.inside = info->st_gid, .outside = owner, .count = 1};
	const char *step;

	if (ids->namespace >= 0 && ids->uid == info->st_uid && ids->gid == info->st_gid)
		return 0;
	if (ids->namespace >= 0)
		(void)close(ids->namespace);
	ids->namespace = id_namespace_open(&uid, 1, &gid, 1, &step);
	ids->uid = info->st_uid;
	ids->gid = info->st_gid;
	return ids->namespace < 0 ? -1 : 0;
}

static int open_disk(struct disk *disk, struct ids *ids, uid_t owner)
{
	struct stat info;

	disk->mount = clone_mount(disk->path, 0);
	if (disk->mount < 0 || fstat(disk->mount, &info) != 0)
		return -1;
	if (!S_ISREG(info.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return open_ids(ids, &info, owner) == 0 ? map_mount(disk->mount, ids->namespace, disk->read_only) : -1;
}

int disks_open(const struct disks *disks, const char **path)
{
	struct ids ids = {.namespace = -1};
	int result = 0;
	int error;

	for (size_t i = 0; i < disks->count && result == 0; i++) {
		*path = disks->entries[i].path;
		result = open_disk(&disks->entries[i], &ids, disks->owner);
	}
	error = errno;
	if (ids.namespace >= 0)
		(void)close(ids.namespace);
	errno = error;
	return result;
}

/* Mounts a disk on an empty file. */
static int attach_disk(struct disk *disk, int directory, size_t number)
{
	char name[sizeof(NAME) + 20];
	int target;

	(void)snprintf(name, sizeof(name), NAME, number);
	target = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (target < 0 || attach_mount(disk->mount, target) != 0 || close(target) != 0 || close(disk->mount) != 0)
		return -1;
	disk->mount = -1;
	return 0;
}

int disks_attach(const struct disks *disks, const char *point)
{
	char path[PATH_MAX];
	int directory;

	if (disks->count == 0)
		return 0;
	if ((size_t)snprintf(path, sizeof(path), "%s/" DIRECTORY, point) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (mkdir(path, 0700) != 0)
		return -1;
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -1;
	for (size_t i = 0; i < disks->count; i++) {
		if (attach_disk(&disks->entries[i], directory, i) != 0)
			return -1;
	}
	/* A file that everybody may read is not open to everybody here, whoever may enter the directory that it is in. */
	if (fchown(directory, disks->owner, (gid_t)-1) != 0 || fchmod(directory, 0500) != 0)
		return -1;
	return close(directory);
}
