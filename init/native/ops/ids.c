/* Operations on the ids of a container: its user namespace, and mounts that belong to it. */
#include "ops/operations.h"

#include "process/user_namespace.h"
#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBERS_PER_RANGE 3
/* A target may be a symbolic link, as for mount(2). */
#define MOVE_FLAGS (MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS)

int op_user_namespace(struct call *call)
{
	static struct id_range ranges[2 * USER_NAMESPACE_MAX_RANGES];
	uint32_t uid_count = read_u32(&call->arguments);
	size_t size;
	const uint32_t *numbers = read_numbers(&call->arguments, &size);
	int error = call_arguments(call);
	size_t count = size / NUMBERS_PER_RANGE;
	const char *step;

	if (error != 0)
		return error;
	if (size % NUMBERS_PER_RANGE != 0 || uid_count == 0 || uid_count >= count ||
	    count > sizeof(ranges) / sizeof(ranges[0]))
		return call_fail(call, EINVAL, "user_namespace(%u of %zu ranges)", uid_count, count);
	for (size_t i = 0; i < count; i++) {
		const uint32_t *range = numbers + i * NUMBERS_PER_RANGE;

		ranges[i] = (struct id_range){.inside = range[0], .outside = range[1], .count = range[2]};
	}
	error = user_namespace_make(ranges, uid_count, ranges + uid_count, count - uid_count, &step);
	return error == 0 ? 0 : call_fail(call, error, "user_namespace: %s", step);
}

/* Mounts below the first may be of kinds that cannot be mapped. They then stay as they are. */
static int map_ids(int tree)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_namespace_fd()};

	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) == 0)
		return 0;
	return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes));
}

int op_map_mount(struct call *call)
{
	const char *source = read_path(&call->arguments);
	const char *target = read_path(&call->arguments);
	uint32_t flags = read_u32(&call->arguments);
	int error = call_arguments(call);
	int tree;

	if (error != 0)
		return error;
	if ((flags & ~(uint32_t)VS_MAP_OPTIONAL) != 0 || user_namespace_fd() < 0)
		return call_fail(call, EINVAL, "map_mount(%s, %s): flags %u", source, target, flags);
	/* A mount that is attached cannot be mapped. */
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0)
		return call_fail(call, errno, "open_tree(%s)", source);
	if (map_ids(tree) < 0 && (flags & VS_MAP_OPTIONAL) == 0)
		error = call_fail(call, errno, "mount_setattr(%s, MOUNT_ATTR_IDMAP)", target);
	else if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_FLAGS) < 0)
		error = call_fail(call, errno, "move_mount(%s, %s)", source, target);
	fd_close(&tree);
	return error;
}
