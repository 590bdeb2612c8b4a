#include "files/cache.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <time.h>

#define AUTO_SECONDS 1
#define ALWAYS_SECONDS 86400

/* Numbers that are in no header, or in none of linux/magic.h. */
#define XFS_MAGIC 0x58465342
#define ISO9660_MAGIC 0x9660

uint64_t cache_seconds(const struct files *files)
{
	switch (files->options.cache) {
	case FILES_CACHE_NEVER:
		return 0;
	case FILES_CACHE_ALWAYS:
		return ALWAYS_SECONDS;
	default:
		return AUTO_SECONDS;
	}
}

int cache_keeps_links(const struct files *files)
{
	return files->options.cache != FILES_CACHE_NEVER;
}

static struct version version_of(const struct status *status)
{
	return (struct version){
		.size = status->stx_size,
		.mtime = status->stx_mtime.tv_sec,
		.ctime = status->stx_ctime.tv_sec,
		.mtime_nanoseconds = status->stx_mtime.tv_nsec,
		.ctime_nanoseconds = status->stx_ctime.tv_nsec,
	};
}

static bool are_equal(const struct version *one, const struct version *other)
{
	return one->size == other->size && one->mtime == other->mtime && one->ctime == other->ctime &&
	       one->mtime_nanoseconds == other->mtime_nanoseconds && one->ctime_nanoseconds == other->ctime_nanoseconds;
}

/*
 * A file that has not been changed for so long, and looks the same later, is the same. Two changes in one tick of the
 * clock have one time. And a program that has mapped a file changes the time with its first store only, until the
 * kernel has written the page: settled.h
 */
static bool is_settled(const struct files *files, const struct status *status)
{
	const int64_t settled = files->options.settled;
	struct timespec now;

	return settled > 0 && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	       status->stx_ctime.tv_sec <= now.tv_sec - settled && status->stx_mtime.tv_sec <= now.tv_sec - settled;
}

/*
 * Whether the file of an overlay is on a disk: an overlay tells of the file below only what is asked of that. One in memory
 * or on a network has no place on a disk.
 */
static bool has_place(int descriptor)
{
	struct fiemap places = {.fm_length = 1};

	/* The C library takes an int. */
	return ioctl(descriptor, (int)FS_IOC_FIEMAP, &places) == 0;
}

/*
 * Whether a store through a mapping changes the times of the file, once for each time that the kernel writes the page.
 * Pages of a file in memory are never written, and those of a network's or of another program's are changed elsewhere.
 */
static bool tells_of_stores(int descriptor)
{
	struct statfs system;

	if (fstatfs(descriptor, &system) != 0)
		return false;
	switch ((unsigned long)system.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	/* Nobody stores to these. */
	case SQUASHFS_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case ISO9660_MAGIC:
		return true;
	case OVERLAYFS_SUPER_MAGIC:
		return has_place(descriptor);
	default:
		return false;
	}
}

/*
 * Whether what the guest has read since it opened the file before is still right. It may read at any time after that. If
 * the file had been changed since, its ctime would be later than it was, as no program can set that.
 */
static bool is_unchanged(const struct files *files, struct node *node, int descriptor, const struct status *status)
{
	const struct version now = version_of(status);
	const bool same = node->has_seen && are_equal(&node->seen, &now);

	if (!same) {
		node->seen = now;
		node->has_seen = is_settled(files, status) && tells_of_stores(descriptor);
	}
	return same;
}

uint32_t cache_open_flags(const struct files *files, struct node *node, int descriptor, const struct status *status)
{
	const bool is_directory = S_ISDIR(node->identity.kind);

	switch (files->options.cache) {
	case FILES_CACHE_NEVER:
		return is_directory ? 0 : FOPEN_DIRECT_IO;
	case FILES_CACHE_ALWAYS:
		return is_directory ? FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR : FOPEN_KEEP_CACHE;
	default:
		/* A list that is kept has no attributes in it, which the guest would ask for one by one. */
		return !is_directory && is_unchanged(files, node, descriptor, status) ? FOPEN_KEEP_CACHE : 0;
	}
}
