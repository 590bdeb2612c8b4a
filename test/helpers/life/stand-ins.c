/*
 * Small programs that stand for those of a sandbox, by the name that they are called by:
 *
 *   virt-qemu-run -r ROOT FILE   FILE has `NAME LATE FAILS STUBBORN`. It starts after LATE milliseconds, or fails then.
 *                                It starts a QEMU and a virtiofsd as daemons, and writes their PID files. On SIGTERM,
 *                                also on one that came before, it ends them and then itself, as libvirt does
 *   qemu-system-x86_64 ...       ends on SIGTERM, unless its last argument is `stubborn`
 *   virtiofsd ...                the same
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a process may take to end after SIGTERM, in milliseconds. */
#define END_MS 200

static void die(const char *what)
{
	(void)fprintf(stderr, "error: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pause_for(int milliseconds)
{
	struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		continue;
}

static void serve(const char *last)
{
	if (strcmp(last, "stubborn") == 0)
		(void)signal(SIGTERM, SIG_IGN);
	for (;;)
		(void)pause();
}

/* A daemon, whose parent is the next subreaper. Returns a pidfd of it. */
static int start_daemon(const char *pid_file, char *const argv[])
{
	pid_t child = fork();

	if (child == 0) {
		sigset_t none;

		if (setsid() < 0 || fork() != 0)
			_exit(0);
		/* libvirt's daemons keep their PID file open, and locked. */
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int file = open(pid_file, O_RDWR | O_CREAT | O_TRUNC, 0644);

		if (file < 0 || fcntl(file, F_SETLK, &lock) != 0 || dprintf(file, "%d\n", (int)getpid()) < 0)
			_exit(1);
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		execv("/proc/self/exe", argv);
		_exit(1);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		die("fork");
	for (int tries = 0; tries < 1000; tries++) {
		int pid = 0;
		FILE *file = fopen(pid_file, "r");

		if (file != NULL && fscanf(file, "%d\n", &pid) != 1)
			pid = 0;
		if (file != NULL)
			(void)fclose(file);
		if (pid > 1)
			return (int)syscall(SYS_pidfd_open, pid, 0);
		pause_for(1);
	}
	die(pid_file);
	return -1;
}

/* A pidfd of -1 is of a process that has ended before it could be opened. */
static void end_daemon(int pidfd)
{
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0) != 0)
		return;
	if (poll(&fd, 1, END_MS) == 0 && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
		(void)poll(&fd, 1, END_MS);
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		die(path);
}

static int drive(const char *root, const char *settings)
{
	char name[256], pids[PATH_MAX], qemu_file[PATH_MAX], server_file[PATH_MAX];
	char guest[300], socket[PATH_MAX], parent[PATH_MAX];
	int late, fails, stubborn, received;
	sigset_t ends;
	FILE *file = fopen(settings, "r");

	if (file == NULL || fscanf(file, "%255s %d %d %d", name, &late, &fails, &stubborn) != 4)
		die(settings);
	(void)fclose(file);
	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	pause_for(late);
	if (fails) {
		(void)fprintf(stderr, "error: the machine was not to start\n");
		return 1;
	}
	(void)snprintf(parent, sizeof(parent), "%s", root);
	(void)snprintf(pids, sizeof(pids), "%s/run", root);
	make_directory(pids);
	(void)snprintf(pids, sizeof(pids), "%s/run/qemu", root);
	make_directory(pids);
	(void)snprintf(qemu_file, sizeof(qemu_file), "%s/run/qemu/%s.pid", root, name);
	(void)snprintf(server_file, sizeof(server_file), "%s/run/qemu/1-%s-fs0-fs.pid", root, name);
	(void)snprintf(guest, sizeof(guest), "guest=%s,debug-threads=on", name);
	(void)snprintf(socket, sizeof(socket), "socket,path=%s/channel", dirname(parent));
	char last[] = "stubborn";
	char *const server[] = {"virtiofsd", "--shared-dir", "/share", NULL};
	char *const qemu[] = {"qemu-system-x86_64", "-name", guest, "-chardev", socket, stubborn ? last : NULL, NULL};
	int server_fd = start_daemon(server_file, server);
	int qemu_fd = start_daemon(qemu_file, qemu);

	(void)sigwait(&ends, &received);
	end_daemon(qemu_fd);
	end_daemon(server_fd);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 4 && strcmp(basename(argv[0]), "virt-qemu-run") == 0 && strcmp(argv[1], "-r") == 0)
		return drive(argv[2], argv[3]);
	if (argc > 1)
		serve(argv[argc - 1]);
	return 2;
}
