#include "process/user_namespace.h"

#include "util/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 64
/* The kernel wants a map in one write of less than a page. */
#define MAP_BYTES 4096
#define UNSHARE_MS 10000

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

static int write_map(pid_t pid, const char *name, const struct id_map *map)
{
	static char text[MAP_BYTES];
	char path[PATH_BYTES];
	size_t used = 0;
	int error = 0;
	int fd;

	for (size_t i = 0; i < map->count; i++) {
		const struct id_range *range = &map->ranges[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%u %u %u\n", range->inside, range->outside,
					 range->count);
		if (used >= sizeof(text))
			return E2BIG;
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, text, used) != (ssize_t)used)
		error = errno;
	fd_close(&fd);
	return error;
}

/* Has a namespace of its own, says so, and waits until it is killed. */
static _Noreturn void hold(int report)
{
	int error = unshare(CLONE_NEWUSER) < 0 ? errno : 0;

	if (write(report, &error, sizeof(error)) == (ssize_t)sizeof(error))
		(void)pause();
	_exit(1);
}

static int await_report(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int error;
	int count;

	do {
		count = poll(&poll_fd, 1, UNSHARE_MS);
	} while (count < 0 && errno == EINTR);
	if (count <= 0)
		return count < 0 ? errno : ETIMEDOUT;
	return read(fd, &error, sizeof(error)) == (ssize_t)sizeof(error) ? error : EIO;
}

/* Only a process outside may write such maps, and only one inside can make the namespace: so there are two. */
static int open_namespace(const char **step)
{
	char path[PATH_BYTES];
	int ends[2];
	int error;
	pid_t pid;

	*step = "pipe";
	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	*step = "fork";
	pid = fork();
	if (pid == 0)
		hold(ends[1]);
	error = pid < 0 ? errno : 0;
	fd_close(&ends[1]);
	if (error == 0) {
		*step = "unshare(CLONE_NEWUSER)";
		error = await_report(ends[0]);
	}
	if (error == 0) {
		*step = "write(uid_map)";
		error = write_map(pid, "uid_map", &uid_map);
	}
	if (error == 0) {
		*step = "write(gid_map)";
		error = write_map(pid, "gid_map", &gid_map);
	}
	if (error == 0) {
		*step = "open(ns/user)";
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		namespace_fd = open(path, O_RDONLY | O_CLOEXEC);
		error = namespace_fd < 0 ? errno : 0;
	}
	fd_close(&ends[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	return error;
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
	int error;

	*step = "ranges";
	if (namespace_fd >= 0)
		return EBUSY;
	if (uid_count > USER_NAMESPACE_MAX_RANGES || gid_count > USER_NAMESPACE_MAX_RANGES)
		return E2BIG;
	memcpy(uid_map.ranges, uids, uid_count * sizeof(*uids));
	memcpy(gid_map.ranges, gids, gid_count * sizeof(*gids));
	uid_map.count = uid_count;
	gid_map.count = gid_count;
	error = open_namespace(step);
	if (error != 0)
		return error;
	*step = "capset";
	return own_files();
}
