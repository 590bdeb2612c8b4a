#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* What share-server changes its root and its rights with. It drops both. */
static const int CAPABILITIES[] = {CAP_SYS_ADMIN, CAP_SETPCAP};

#define FIRST_FREE (STDERR_FILENO + 1)
#define BEYOND 10
#define CANNOT_RUN 126

/* Only QEMU's user may connect, whatever the umask. */
static int listen_for(const struct server *server)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(server->socket) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)strcpy(address.sun_path, server->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	mode_t before = umask(0177);
	int result = bind(fd, (const struct sockaddr *)&address, sizeof(address));

	(void)umask(before);
	if (result == 0 && server->client != geteuid())
		result = chown(server->socket, server->client, (gid_t)-1);
	if (result == 0 && listen(fd, 1) == 0)
		return fd;

	int error = errno;

	(void)close(fd);
	errno = error;
	return -1;
}

/* Makes a file of this name beside the program. -1 with errno set. */
static int make_beside(const struct server *server, const char *ending)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s%s", server->program, ending) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
}

/* execve(2) would take the capabilities of a user who is not root. */
static int keep_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (geteuid() == 0)
		return 0;
	if (syscall(SYS_capget, &header, data) != 0)
		return -1;
	for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; word++)
		data[word].inheritable = data[word].permitted;
	if (syscall(SYS_capset, &header, data) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(CAPABILITIES) / sizeof(*CAPABILITIES); i++) {
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITIES[i], 0, 0) != 0)
			return -1;
	}
	return 0;
}

/* In the child, whose parent this was. Returns only if it fails. */
static void become_server(const struct server *server, const char *directory, int socket, int log, pid_t parent)
{
	const char *const words[] = {server->program, "--fd=3", "--shared-dir", directory,     "--readonly",
				     "--sandbox",     "none",   "--cache",      server->cache, NULL};
	sigset_t none;

	/* The order matters: the socket may be one of the descriptors that the others become. */
	if (dup2(socket, FIRST_FREE) < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		return;
	if (syscall(SYS_close_range, FIRST_FREE + 1, ~0U, 0) != 0)
		return;
	if (signal(SIGCHLD, SIG_DFL) == SIG_ERR || sigemptyset(&none) != 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || keep_capabilities() != 0)
		return;
	/* It may have ended before. */
	if (getppid() != parent)
		return;
	(void)execv(server->program, (char *const *)words);
}

static void run_server(const struct server *server, const char *directory, int socket, int log, pid_t parent)
{
	/* Beyond the descriptors that they are about to become. */
	int high = fcntl(socket, F_DUPFD, BEYOND);
	int messages = fcntl(log, F_DUPFD, BEYOND);

	if (high >= 0 && messages >= 0)
		become_server(server, directory, high, messages, parent);
	(void)dprintf(log, "root-view: %s: %s\n", server->program, strerror(errno));
}

/* What can fail is made before, so that it is known here. */
static pid_t start(const struct server *server, const char *directory, int socket)
{
	int log = make_beside(server, ".log");
	int file = make_beside(server, ".pid");
	pid_t parent = getpid();

	if (log < 0 || file < 0)
		return -1;
	pid_t pid = fork();

	if (pid == 0) {
		run_server(server, directory, socket, log, parent);
		_exit(CANNOT_RUN);
	}
	bool written = pid > 0 && dprintf(file, "%d\n", (int)pid) > 0;

	(void)close(log);
	(void)close(file);
	return written ? pid : -1;
}

pid_t server_start(const struct server *server, const char *point, const char **failed)
{
	char directory[PATH_MAX];
	int socket = listen_for(server);
	pid_t pid;

	*failed = server->socket;
	if (socket < 0)
		return -1;
	*failed = server->program;
	if ((size_t)snprintf(directory, sizeof(directory), "%s/root", point) >= sizeof(directory)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	pid = start(server, directory, socket);
	(void)close(socket);
	return pid;
}
