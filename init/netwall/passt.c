#include "passt.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long passt may take to end, in milliseconds, and how often to look. */
#define END_MS 2000
#define LOOK_MS 5

/* A buffer for some full frames each way. The kernel may grant less. */
#define SOCKET_BYTES (1 << 20)

void passt_exec(char *const argv[], int connection)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* dup2() of a descriptor to itself would leave it closed on exec. */
	if (null >= 0 && (connection == PASST_FD ? fcntl(connection, F_SETFD, 0) : dup2(connection, PASST_FD)) >= 0 &&
	    dup2(null, STDIN_FILENO) >= 0)
		(void)execv(argv[0], argv);
	log_errno(argv[0]);
}

pid_t passt_start(char *const argv[], int *connection)
{
	const int bytes = SOCKET_BYTES;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		log_errno("socketpair");
		return -1;
	}
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	pid_t pid = fork();

	if (pid == 0) {
		passt_exec(argv, pair[1]);
		_exit(127);
	}
	(void)close(pair[1]);
	if (pid > 0) {
		*connection = pair[0];
		return pid;
	}
	log_errno("fork");
	(void)close(pair[0]);
	return -1;
}

void passt_end(pid_t pid)
{
	for (int waited = 0;; waited += LOOK_MS) {
		pid_t ended = waitpid(pid, NULL, WNOHANG);

		if (ended == pid || (ended < 0 && errno != EINTR))
			return;
		if (waited == END_MS && kill(pid, SIGKILL) != 0)
			return;
		(void)poll(NULL, 0, LOOK_MS);
	}
}
