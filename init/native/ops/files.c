/* Operations on files. */
#include "ops/operations.h"

#include "ops/paths.h"
#include "process/user_namespace.h"
#include "shared/write_all.h"
#include "util/fd.h"
#include "util/macros.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int op_mkdir(struct call *call)
{
	char *path = read_path(&call->arguments);
	uint32_t mode = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (paths_make_directory(path, (mode_t)mode) < 0)
		return call_fail(call, errno, "mkdir(%s, 0%o)", path, mode);
	return 0;
}

static bool is_link_to(const char *path, const char *target)
{
	char found[VS_MAX_PATH_BYTES + 1];
	ssize_t size = readlink(path, found, sizeof(found));

	return size >= 0 && (size_t)size == strlen(target) && memcmp(found, target, (size_t)size) == 0;
}

int op_symlink(struct call *call)
{
	const char *target = read_path(&call->arguments);
	const char *path = read_path(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (symlink(target, path) < 0) {
		error = errno;
		if (error != EEXIST || !is_link_to(path, target))
			return call_fail(call, error, "symlink(%s, %s)", target, path);
	}
	return 0;
}

int op_write_file(struct call *call)
{
	struct reader *from = &call->arguments;
	char *path = read_path(from);
	uint32_t mode = read_u32(from);
	uint32_t flags = read_u32(from);
	struct span data = read_bytes(from);
	int error = call_arguments(call);
	int open_flags;
	int fd;

	if (error != 0)
		return error;
	if ((flags & ~(uint32_t)(VS_WRITE_APPEND | VS_WRITE_PARENTS | VS_WRITE_EXCLUSIVE)) != 0)
		return call_fail(call, EINVAL, "write_file(%s): flags %u", path, flags);
	/* O_NONBLOCK makes a FIFO without a reader an error instead of a wait. */
	open_flags = O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
	open_flags |= (flags & VS_WRITE_APPEND) != 0 ? O_APPEND : O_TRUNC;
	open_flags |= (flags & VS_WRITE_EXCLUSIVE) != 0 ? O_EXCL : 0;
	if ((flags & VS_WRITE_PARENTS) != 0 && paths_make_parents(path) < 0)
		return call_fail(call, errno, "mkdir(parents of %s)", path);
	fd = open(path, open_flags, (mode_t)mode);
	if (fd < 0)
		return call_fail(call, errno, "open(%s)", path);
	if (write_all(fd, data.data, data.size) < 0)
		error = call_fail(call, errno, "write(%s, %zu bytes)", path, data.size);
	if (close(fd) < 0 && error == 0)
		error = call_fail(call, errno, "close(%s)", path);
	return error;
}

/* What opens a device or a pipe takes from it what is others': the path may be a link of whoever may write there. */
static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || (fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))))
		return fd;
	fd_close(&fd);
	errno = EINVAL;
	return -1;
}

int op_read_file(struct call *call)
{
	static uint8_t content[VS_MAX_READ_FILE_BYTES + 1];
	const char *path = read_path(&call->arguments);
	uint32_t limit = read_u32(&call->arguments);
	int error = call_arguments(call);
	size_t used = 0;
	ssize_t count;
	int fd;

	if (error != 0)
		return error;
	if (limit == 0 || limit > VS_MAX_READ_FILE_BYTES)
		return call_fail(call, EINVAL, "read_file(%s): limit %u", path, limit);
	fd = open_file(path);
	if (fd < 0)
		return call_fail(call, errno, "open(%s)", path);
	do {
		count = read(fd, content + used, limit + 1 - used);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			error = call_fail(call, errno, "read(%s)", path);
		else
			used += (size_t)count;
	} while (error == 0 && count != 0 && used <= limit);
	fd_close(&fd);
	if (error == 0 && used > limit)
		error = call_fail(call, EFBIG, "read(%s): more than %u bytes", path, limit);
	if (error == 0)
		put_bytes(&call->result, content, used);
	return error;
}

int op_read_link(struct call *call)
{
	static char target[VS_MAX_PATH_BYTES + 1];
	const char *path = read_path(&call->arguments);
	int error = call_arguments(call);
	ssize_t size;

	if (error != 0)
		return error;
	size = readlink(path, target, sizeof(target));
	if (size < 0)
		return call_fail(call, errno, "readlink(%s)", path);
	/* The kernel truncates silently. */
	if ((size_t)size == sizeof(target))
		return call_fail(call, ENAMETOOLONG, "readlink(%s)", path);
	target[size] = '\0';
	put_str(&call->result, target);
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

int op_list_dir(struct call *call)
{
	static char text[VS_MAX_PACKET_BYTES];
	static const char *names[VS_MAX_LIST_DIR_NAMES];
	const char *path = read_path(&call->arguments);
	int error = call_arguments(call);
	const struct dirent *entry;
	size_t count = 0;
	size_t used = 0;
	DIR *directory;

	if (error != 0)
		return error;
	directory = opendir(path);
	if (directory == NULL)
		return call_fail(call, errno, "opendir(%s)", path);
	while (errno = 0, (entry = readdir(directory)) != NULL) {
		size_t size = strlen(entry->d_name) + 1;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (count == ARRAY_LENGTH(names) || size > sizeof(text) - used) {
			errno = E2BIG;
			break;
		}
		memcpy(text + used, entry->d_name, size);
		names[count++] = text + used;
		used += size;
	}
	if (errno != 0)
		error = call_fail(call, errno, "readdir(%s)", path);
	(void)closedir(directory);
	if (error != 0)
		return error;
	qsort(names, count, sizeof(names[0]), compare_names);
	put_u32(&call->result, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		put_str(&call->result, names[i]);
	return 0;
}

int op_stat(struct call *call)
{
	const char *path = read_path(&call->arguments);
	uint32_t follow = read_u32(&call->arguments);
	int error = call_arguments(call);
	struct stat status;

	if (error != 0)
		return error;
	if (follow > 1)
		return call_fail(call, EINVAL, "stat(%s): follow %u", path, follow);
	if (fstatat(AT_FDCWD, path, &status, follow == 1 ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return call_fail(call, errno, "stat(%s)", path);
	put_u32(&call->result, status.st_mode);
	put_u32(&call->result, status.st_uid);
	put_u32(&call->result, status.st_gid);
	put_u64(&call->result, (uint64_t)status.st_size);
	put_u32(&call->result, major(status.st_rdev));
	put_u32(&call->result, minor(status.st_rdev));
	return 0;
}

int op_chown(struct call *call)
{
	const char *path = read_path(&call->arguments);
	uint32_t uid = read_u32(&call->arguments);
	uint32_t gid = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (lchown(path, user_namespace_uid(uid), user_namespace_gid(gid)) < 0)
		return call_fail(call, errno, "lchown(%s, %u, %u)", path, uid, gid);
	return 0;
}

int op_chmod(struct call *call)
{
	const char *path = read_path(&call->arguments);
	uint32_t mode = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (chmod(path, (mode_t)mode) < 0)
		return call_fail(call, errno, "chmod(%s, 0%o)", path, mode);
	return 0;
}

int op_mknod(struct call *call)
{
	const char *path = read_path(&call->arguments);
	uint32_t mode = read_u32(&call->arguments);
	uint32_t device_major = read_u32(&call->arguments);
	uint32_t device_minor = read_u32(&call->arguments);
	int error = call_arguments(call);

	if (error != 0)
		return error;
	if (mknod(path, (mode_t)mode, makedev(device_major, device_minor)) < 0)
		return call_fail(call, errno, "mknod(%s, 0%o, %u:%u)", path, mode, device_major, device_minor);
	return 0;
}
