#include "files/node.h"

#include <sys/sysmacros.h>

struct identity node_identity(const struct status *status)
{
	struct identity identity = {
		.device = makedev(status->stx_dev_major, status->stx_dev_minor),
		.inode = status->stx_ino,
		.mount = status->stx_mask & STATUS_MOUNT ? status->stx_mnt_id : 0,
		.kind = status->stx_mode & S_IFMT,
		.target = status->target,
	};

	if (status->stx_mask & STATUS_BIRTH) {
		identity.seconds = status->stx_btime.tv_sec;
		identity.nanoseconds = status->stx_btime.tv_nsec;
	}
	return identity;
}

bool identity_equals(const struct identity *one, const struct identity *other)
{
	return one->inode == other->inode && one->device == other->device && one->mount == other->mount &&
	       one->seconds == other->seconds && one->nanoseconds == other->nanoseconds && one->kind == other->kind &&
	       one->target == other->target;
}

bool node_is(const struct node *node, const struct status *status)
{
	const struct identity identity = node_identity(status);

	return identity_equals(&node->identity, &identity);
}
