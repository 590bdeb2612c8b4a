#include "id_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 64
/* The kernel wants a map in one write of less than a page. */
#define MAP_BYTES 4096
#define UNSHARE_MS 10000

static int write_map(pid_t pid, const char *name, const struct id_range *ranges, size_t count)
{
	static char text[MAP_BYTES];
	char path[PATH_BYTES];
	size_t used = 0;
	int error = 0;
	int fd;

	for (size_t i = 0; i < count; i++) {
		const struct id_range *range = &ranges[i];

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
	(void)close(fd);
	return error;
}

/* Has a namespace of its own, says so, and waits until it is killed, with its parent at the latest. */
static _Noreturn void hold(pid_t parent, int report)
{
	int error = unshare(CLONE_NEWUSER) < 0 ? errno : 0;

	/* Only now: a change of rights takes it back. */
	if (error == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		error = errno;
	if (getppid() == parent && write(report, &error, sizeof(error)) == (ssize_t)sizeof(error))
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
int id_namespace_open(const struct id_range *uids, size_t uid_count, const struct id_range *gids, size_t gid_count,
		      const char **step)
{
	char path[PATH_BYTES];
	int namespace = -1;
	int ends[2];
	int error;
	pid_t pid;

	*step = "pipe";
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	*step = "fork";
	pid_t parent = getpid();

	pid = fork();
	if (pid == 0)
		hold(parent, ends[1]);
	error = pid < 0 ? errno : 0;
	(void)close(ends[1]);
	if (error == 0) {
		*step = "unshare(CLONE_NEWUSER)";
		error = await_report(ends[0]);
	}
	if (error == 0) {
		*step = "write(uid_map)";
		error = write_map(pid, "uid_map", uids, uid_count);
	}
	if (error == 0) {
		*step = "write(gid_map)";
		error = write_map(pid, "gid_map", gids, gid_count);
	}
	if (error == 0) {
		*step = "open(ns/user)";
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		namespace = open(path, O_RDONLY | O_CLOEXEC);
		error = namespace < 0 ? errno : 0;
	}
	(void)close(ends[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	errno = error;
	return namespace;
}
