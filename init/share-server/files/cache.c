#include "files/cache.h"

#include <linux/fuse.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/vfs.h>
#include <time.h>

#define AUTO_SECONDS 1
#define ALWAYS_SECONDS 86400

/*
 * A file that has not been changed for so long, and looks the same later, is the same. Two changes in one tick of the
 * clock have one time. And a program that has mapped a file changes the time with its first store only, until the
 * kernel has written the page: after 30 s and 5 s, proc_sys_vm(5), dirty_expire_centisecs and
 * dirty_writeback_centisecs.
 */
#define SETTLED_SECONDS 60

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

static bool is_settled(const struct status *status)
{
	struct timespec now;

	return clock_gettime(CLOCK_REALTIME, &now) == 0 && status->stx_ctime.tv_sec <= now.tv_sec - SETTLED_SECONDS &&
	       status->stx_mtime.tv_sec <= now.tv_sec - SETTLED_SECONDS;
}

/* In memory, what is stored through a mapping changes no time at all. */
static bool is_in_memory(int descriptor)
{
	struct statfs system;

	return fstatfs(descriptor, &system) != 0 || system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC;
}

/*
 * Whether what the guest has read since it opened the file before is still right. It may read at any time after that. If
 * the file had been changed since, its ctime would be later than it was, as no program can set that.
 */
static bool is_unchanged(struct node *node, int descriptor, const struct status *status)
{
	const struct version now = version_of(status);
	const bool same = node->has_seen && are_equal(&node->seen, &now);

	if (!same) {
		node->seen = now;
		node->has_seen = is_settled(status) && !is_in_memory(descriptor);
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
		return !is_directory && is_unchanged(node, descriptor, status) ? FOPEN_KEEP_CACHE : 0;
	}
}
