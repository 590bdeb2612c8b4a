/* Content, modes and times in the file system of small_fs.h: nothing is kept of them, and what is set is checked. */
#include "harness/check.h"
#include "harness/small_fs_nodes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

REPLACE(int, utimensat, (int fd, const char *name, const struct timespec *times, int flags));
int __wrap_utimensat(int fd, const char *name, const struct timespec *times, int flags)
{
	if (!fs_is_on)
		return __real_utimensat(fd, name, times, flags);
	check(flags != 0 || strcmp(name, ".") == 0, "no link is followed");
	check(times[1].tv_nsec >= 0 && times[1].tv_nsec < 1000000000, "a time is one");
	return fs_fails() ? -1 : 0;
}

REPLACE(int, fchmod, (int fd, mode_t mode));
int __wrap_fchmod(int fd, mode_t mode)
{
	if (!fs_is_on)
		return __real_fchmod(fd, mode);
	check((mode & ~07777U) == 0 && fs_nodes[fs_node_of(fd)].owner == FS_ME, "only what was made gets a mode");
	return fs_fails() ? -1 : 0;
}

REPLACE(int, fchmodat, (int fd, const char *name, mode_t mode, int flags));
int __wrap_fchmodat(int fd, const char *name, mode_t mode, int flags)
{
	if (!fs_is_on)
		return __real_fchmodat(fd, name, mode, flags);
	check((mode & ~07777U) == 0 && fs_nodes[fs_node_of(fd)].owner == FS_ME, "only what was made gets a mode");
	return fs_fails() ? -1 : 0;
}

REPLACE(int, ftruncate, (int fd, off_t size));
int __wrap_ftruncate(int fd, off_t size)
{
	if (!fs_is_on)
		return __real_ftruncate(fd, size);
	check(fs_nodes[fs_node_of(fd)].owner == FS_ME && size >= 0, "a file has a size");
	return fs_fails() ? -1 : 0;
}

REPLACE(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at));
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
	if (!fs_is_on)
		return __real_pwrite(fd, bytes, size, at);
	check(fs_nodes[fs_node_of(fd)].owner == FS_ME && at >= 0 && size > 0, "what was made is written to");
	check((uint64_t)at + size <= INT64_MAX, "an extent is in a file");
	return fs_fails() ? -1 : (ssize_t)(size > 1 && fs_event() >= 128 ? size / 2 : size);
}

REPLACE(ssize_t, write, (int fd, const void *bytes, size_t size));
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (!fs_is_on)
		return __real_write(fd, bytes, size);
	check(fd == STDOUT_FILENO || fs_nodes[fs_node_of(fd)].owner == FS_ME, "what was made is written to");
	return (ssize_t)size;
}

REPLACE(ssize_t, read, (int fd, void *to, size_t size));
ssize_t __wrap_read(int fd, void *to, size_t size)
{
	if (!fs_is_on)
		return __real_read(fd, to, size);
	if (fd != STDIN_FILENO) {
		check(fs_nodes[fs_node_of(fd)].owner == FS_ME, "nothing of another one is copied");
		return 0;
	}
	if (size > fs_input.size)
		size = fs_input.size;
	if (size > 1 && fs_event() >= 128)
		size = (size + 1) / 2;
	memcpy(to, fs_input.data, size);
	fs_input.data += size;
	fs_input.size -= size;
	return (ssize_t)size;
}

REPLACE(int, close, (int fd));
int __wrap_close(int fd)
{
	if (!fs_is_on)
		return __real_close(fd);
	fs_close(fd);
	return 0;
}
