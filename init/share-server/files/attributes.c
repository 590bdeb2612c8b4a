#include "files/attributes.h"

#include "files/cache.h"

/* The kernel's new_encode_dev(). */
static uint32_t device_number(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (major << 8) | ((minor & ~UINT32_C(0xff)) << 12);
}

struct fuse_attr attributes_of(const struct files *files, const struct status *status)
{
	return (struct fuse_attr){
		.ino = status->stx_ino,
		.size = status->stx_size,
		.blocks = status->stx_blocks,
		.atime = (uint64_t)status->stx_atime.tv_sec,
		.mtime = (uint64_t)status->stx_mtime.tv_sec,
		.ctime = (uint64_t)status->stx_ctime.tv_sec,
		.atimensec = status->stx_atime.tv_nsec,
		.mtimensec = status->stx_mtime.tv_nsec,
		.ctimensec = status->stx_ctime.tv_nsec,
		.mode = status->stx_mode,
		.nlink = status->stx_nlink,
		.uid = status->stx_uid == files->options.nobody ? 0 : status->stx_uid,
		.gid = status->stx_gid == files->options.nogroup ? 0 : status->stx_gid,
		.rdev = device_number(status->stx_rdev_major, status->stx_rdev_minor),
		.blksize = status->stx_blksize,
	};
}

struct fuse_entry_out attributes_entry(const struct files *files, const struct node *parent, const struct node *node,
				       const struct status *status)
{
	const uint64_t valid = cache_seconds(files);
	struct fuse_entry_out entry = {
		.nodeid = node->id,
		.generation = files->options.generation,
		.entry_valid = valid,
		.attr_valid = valid,
		.attr = attributes_of(files, status),
	};

	if (files->knows_mounts && S_ISDIR(node->identity.kind) && node->identity.mount != parent->identity.mount)
		entry.attr.flags = FUSE_ATTR_SUBMOUNT;
	return entry;
}
