/*
 * Tries system calls that reach other programs of the same user, and prints the error of each.
 *
 *   refused-calls PID SOCKET      a process, and a datagram socket with a path, both of the same user
 *   refused-calls SOCKET          is them: says when it has the socket, and ends with its input
 *
 * A call that does something has an argument that is wrong, so nobody is harmed where it is allowed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define X32_BIT 0x40000000
#define I386_GETPID 20

static void result(const char *what, long returned)
{
	printf("%s %s\n", what, returned >= 0 ? "done" : errno == EACCES ? "EACCES" : strerrorname_np(errno));
}

/* Sends to the path through one end of a pair. */
static long send_by_pair(int type, const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int pair[2];

	if (socketpair(AF_UNIX, type, 0, pair) != 0)
		return -1;
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	return sendto(pair[0], "x", 1, 0, (const struct sockaddr *)&to, sizeof(to));
}

static int serve(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char byte;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || puts("ready") < 0 ||
	    fflush(stdout) != 0)
		return 1;
	while (read(0, &byte, 1) > 0)
		continue;
	return 0;
}

/* A call of 32-bit programs has another table. */
static long compatible_call(long number)
{
	long returned;

	__asm__ volatile("int $0x80" : "=a"(returned) : "a"(number) : "memory", "r8", "r9", "r10", "r11");
	if (returned >= 0)
		return returned;
	errno = (int)-returned;
	return -1;
}

int main(int argc, char *argv[])
{
	if (argc == 2)
		return serve(argv[1]);
	if (argc != 3)
		return 2;
	pid_t other = atoi(argv[1]);
	struct rlimit limit;
	char byte;
	int stack[2];

	result("own-stream-pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stack));
	result("own-limit-read", getrlimit(RLIMIT_CPU, &limit));
	result("own-limit-set", setrlimit(RLIMIT_CPU, &limit));
	result("own-scheduler", syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &(struct sched_param){0}));
	result("socket", socket(AF_UNIX, SOCK_STREAM, 0));
	result("datagram-pair", send_by_pair(SOCK_DGRAM, argv[2]));
	result("flagged-datagram-pair", send_by_pair(SOCK_DGRAM | SOCK_NONBLOCK, argv[2]));
	result("sequential-pair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, stack));
	result("prlimit", syscall(SYS_prlimit64, other, RLIMIT_CPU, &limit, NULL));
	result("sched_setattr", syscall(SYS_sched_setattr, other, NULL, 0));
	result("sched_setaffinity", syscall(SYS_sched_setaffinity, other, 0, NULL));
	result("sched_setscheduler", syscall(SYS_sched_setscheduler, other, -1, NULL));
	result("sched_setparam", syscall(SYS_sched_setparam, other, NULL));
	result("setpriority", syscall(SYS_setpriority, -1, 0, 0));
	result("ioprio_set", syscall(SYS_ioprio_set, -1, 0, 0));
	result("ptrace", ptrace(PTRACE_PEEKDATA, other, NULL, NULL));
	result("process_vm_readv", syscall(SYS_process_vm_readv, other, NULL, 0, NULL, 0, -1));
	result("process_vm_writev", syscall(SYS_process_vm_writev, other, NULL, 0, NULL, 0, -1));
	result("pidfd_getfd", syscall(SYS_pidfd_getfd, -1, 0, 0));
	result("kcmp", syscall(SYS_kcmp, other, other, -1, 0, 0));
	result("keyctl", syscall(SYS_keyctl, -1));
	result("add_key", syscall(SYS_add_key, NULL, NULL, NULL, 0, 0));
	result("request_key", syscall(SYS_request_key, NULL, NULL, NULL, 0));
	result("shmget", syscall(SYS_shmget, IPC_PRIVATE, (size_t)0, 0));
	result("shmat", syscall(SYS_shmat, -1, NULL, 0));
	result("shmctl", syscall(SYS_shmctl, -1, -1, NULL));
	result("msgget", syscall(SYS_msgget, 0x7654321, 0));
	result("msgsnd", syscall(SYS_msgsnd, -1, &byte, 0, 0));
	result("msgrcv", syscall(SYS_msgrcv, -1, &byte, 0, 0, 0));
	result("msgctl", syscall(SYS_msgctl, -1, -1, NULL));
	result("semget", syscall(SYS_semget, 0x7654321, 1, 0));
	result("semop", syscall(SYS_semop, -1, NULL, 0));
	result("semtimedop", syscall(SYS_semtimedop, -1, NULL, 0, NULL));
	result("semctl", syscall(SYS_semctl, -1, 0, -1));
	result("mq_open", syscall(SYS_mq_open, NULL, 0, 0, NULL));
	result("mq_unlink", syscall(SYS_mq_unlink, NULL));
	result("io_uring_setup", syscall(SYS_io_uring_setup, 0, NULL));
	result("io_uring_enter", syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0));
	result("io_uring_register", syscall(SYS_io_uring_register, -1, 0, NULL, 0));
	result("x32", syscall(X32_BIT | SYS_getpid));
	result("32-bit", compatible_call(I386_GETPID));
	return 0;
}
