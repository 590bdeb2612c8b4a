#include "harness/try_calls.h"

#include "harness/check.h"
#include "own_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Without what a sanitizer does at an end, which is refused too. */
static void end(size_t status)
{
	(void)syscall(SYS_exit_group, (int)status);
}

/* Each would do something, or fail with another error. */
static bool is_refused(size_t which)
{
	const char *const words[] = {"/bin/true", NULL};

	errno = 0;
	switch (which) {
	case 0:
		return syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) < 0;
	case 1:
		return syscall(SYS_execve, words[0], words, words + 1) < 0;
	case 2:
		return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_WRONLY) < 0;
	case 3:
		return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR) < 0;
	case 4:
		return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CREAT, 0600) < 0;
	case 5:
		return syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1;
	case 6:
		return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) < 0;
	case 7:
		return syscall(SYS_ioctl, 0, TIOCSTI, "x") < 0;
	case 8:
		return syscall(SYS_kill, getppid(), 0) < 0;
	case 9:
		return syscall(SYS_unshare, CLONE_NEWUSER) < 0;
	case 10:
		return syscall(SYS_open_tree, AT_FDCWD, "/", 0) < 0;
	case 11:
		return syscall(SYS_fcntl, 0, F_SETFL, 0) < 0;
	case 12:
		return syscall(SYS_memfd_create, "x", 0) < 0;
	case 13:
		return syscall(SYS_io_uring_setup, 0, NULL) < 0;
	default:
		return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) < 0;
	}
}

#define TRIED 15

void try_calls(void)
{
	const pid_t pid = fork();
	int status;

	check(pid >= 0, "a process");
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || own_calls_allow() != NULL)
			end(TRIED + 1);
		if (openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY) < 0)
			end(TRIED + 2);
		for (size_t which = 0; which < TRIED; which++)
			if (!is_refused(which) || errno != EPERM)
				end(which + 1);
		end(0);
	}
	check(waitpid(pid, &status, 0) == pid, "its end");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it is refused what it does not need");
}
