#include "namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

int enter_own_mounts(int others)
{
	if (unshare(CLONE_NEWNS | others) != 0)
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, size);
	if (close(fd) != 0 || n != (ssize_t)size)
		return -1;
	return 0;
}

int enter_own_user(void)
{
	char users[64];
	char groups[64];

	(void)snprintf(users, sizeof(users), "%u %u 1\n", geteuid(), geteuid());
	(void)snprintf(groups, sizeof(groups), "%u %u 1\n", getegid(), getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || write_file("/proc/self/setgroups", "deny") != 0 ||
	    write_file("/proc/self/uid_map", users) != 0 || write_file("/proc/self/gid_map", groups) != 0)
		return -1;
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

/* The process that listens on a socket: SO_PEERCRED in unix(7). */
static pid_t daemon_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred credentials = {0};
	socklen_t size = sizeof(credentials);
	int fd;
	int result;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	result = connect(fd, (const struct sockaddr *)&address, sizeof(address));
	if (result == 0)
		result = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	(void)close(fd);
	if (result == 0 && credentials.pid == 0) {
		/* It is in another PID namespace. */
		errno = ESRCH;
		return -1;
	}
	return result == 0 ? credentials.pid : -1;
}

int enter_mounts_of_daemon(const char *socket_path)
{
	char path[64];
	pid_t daemon = daemon_of(socket_path);
	int namespace;
	int result;

	if (daemon <= 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)daemon);
	namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (namespace < 0) {
		/* Root without CAP_SYS_PTRACE may not look. Almost always it is the same one. */
		return errno == EACCES ? 0 : -1;
	}
	result = setns(namespace, CLONE_NEWNS);
	(void)close(namespace);
	return result;
}
