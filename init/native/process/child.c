#include "process/child.h"

#include "builtins/builtins.h"
#include "process/exec.h"
#include "process/processes.h"
#include "process/syscalls.h"
#include "process/user_namespace.h"
#include "transport/protocol.h"
#include "util/fd.h"
#include "util/macros.h"
#include "util/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 127
#define TRACE_FILENO 3
#define REPORT_FILENO 3

struct report {
	int error;
	char step[CHILD_STEP_BYTES];
};

static int report_end = -1;

_Noreturn void child_fail(int error, const char *format, const char *argument)
{
	struct report report = {.error = error};

	(void)snprintf(report.step, sizeof(report.step), format, argument);
	/* Shorter than PIPE_BUF, so it arrives whole. A failure leaves nothing to do. */
	(void)!write(report_end, &report, sizeof(report));
	_exit(EXIT_NOT_STARTED);
}

static void check(int result, const char *step)
{
	if (result < 0)
		child_fail(errno, "%s", step);
}

/* The report stays open in the program that starts. */
static void hand_on_report(void)
{
	if (report_end == REPORT_FILENO)
		check(fcntl(report_end, F_SETFD, 0), "fcntl(report)");
	else
		check(dup2(report_end, REPORT_FILENO), "dup2(report)");
}

void child_take_report(void)
{
	report_end = REPORT_FILENO;
	if (fcntl(report_end, F_SETFD, FD_CLOEXEC) < 0)
		report_end = -1;
}

void child_is_ready(void)
{
	fd_close(&report_end);
}

static void set_up_descriptors(const struct child *child)
{
	check(dup2(child->in, STDIN_FILENO), "dup2(stdin)");
	check(dup2(child->out, STDOUT_FILENO), "dup2(stdout)");
	check(dup2(child->err, STDERR_FILENO), "dup2(stderr)");
	if (child->trace > 0)
		check(dup2(child->trace, TRACE_FILENO), "dup2(trace)");
	if (child->follows)
		hand_on_report();
	/* Before it loses its capabilities, and others may look into it: /proc/PID/fd leads to what the init keeps. */
	for (int kept = VS_KEPT_FD; kept <= VS_KEPT_SECOND_FD; kept++)
		if (report_end != kept)
			(void)close(kept);
	/* Descriptors opened here are close-on-exec already; this covers those that this process inherited. */
	(void)syscall(SYS_close_range, STDERR_FILENO + (child->trace > 0 || child->follows ? 2 : 1), UINT_MAX,
		      CLOSE_RANGE_CLOEXEC);
	if (child->terminal)
		check(ioctl(STDIN_FILENO, TIOCSCTTY, 0), "ioctl(TIOCSCTTY)");
}

/* The bounding set also limits setuid programs, so what is dropped here is out of reach for good. */
static void drop_bounding_set(uint64_t keep)
{
	for (unsigned long capability = 0; capability < 64; capability++) {
		int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);

		if (held < 0)
			return; /* the kernel knows no more capabilities */
		if (held > 0 && (keep >> capability & 1) == 0)
			check(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl(PR_CAPBSET_DROP)");
	}
}

static void set_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	check((int)syscall(SYS_capget, &header, data), "capget");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		/* A container's init may hold fewer capabilities than the host asks to keep. */
		data[i].permitted &= (uint32_t)(keep >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	check((int)syscall(SYS_capset, &header, data), "capset");
}

/*
 * The ids of the child are then those of the namespace, and its capabilities count there only. What has all of them is
 * the host's own: a shell, or what looks into the sandbox.
 */
static void confine_to_container(const struct child *child)
{
	if (child->capabilities == UINT64_MAX || platform() != PLATFORM_CONTAINER)
		return;
	if (user_namespace_fd() >= 0)
		check(setns(user_namespace_fd(), CLONE_NEWUSER), "setns(CLONE_NEWUSER)");
	/* Without no_new_privs this takes CAP_SYS_ADMIN, which goes next. */
	check(syscalls_confine(child->user_namespaces, child->capabilities != 0), "prctl(PR_SET_SECCOMP)");
}

static void take_identity(const struct child *child)
{
	confine_to_container(child);
	check(setgroups(child->group_count, (const gid_t *)child->groups), "setgroups");
	check(setresgid(child->gid, child->gid, child->gid), "setresgid");
	drop_bounding_set(child->capabilities);
	/* EINVAL: the kernel has no ambient capabilities, so there are none to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		child_fail(errno, "%s", "prctl(PR_CAP_AMBIENT)");
	check(setresuid(child->uid, child->uid, child->uid), "setresuid");
	set_capabilities(child->uid == 0 ? child->capabilities : 0);
	/* Without the means to gain anything, setuid programs are only code that an attacker can make use of. */
	if (child->capabilities == 0)
		check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)");
}

static void reset_signals(void)
{
	struct sigaction action;
	sigset_t none;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	/* The kernel refuses SIGKILL and SIGSTOP, and the C library its own signals; those have their defaults. */
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&none);
	check(sigprocmask(SIG_SETMASK, &none, NULL), "sigprocmask");
}

/* Kernels before 5.9 close no range. */
static void close_all_but_streams(void)
{
	long most = sysconf(_SC_OPEN_MAX);

	if (syscall(SYS_close_range, STDERR_FILENO + 1, UINT_MAX, 0) == 0)
		return;
	for (long fd = STDERR_FILENO + 1; fd < most; fd++)
		(void)close((int)fd);
}

/* Until execve, and in a program of the init, it is the init's memory, which is not for others of the child's user. */
static void hide_memory(void)
{
	check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(PR_SET_DUMPABLE)");
}

/* There is no execve, so what it would have done is done here. */
static _Noreturn void become_builtin(char **argv)
{
	/* Again: a change of user sets it to what /proc/sys/fs/suid_dumpable says. */
	hide_memory();
	child_is_ready();
	close_all_but_streams();
	builtin_run(argv);
}

static _Noreturn void become(const struct child *child)
{
	const char *path;
	int error;

	hide_memory();
	check((int)setsid(), "setsid");
	set_up_descriptors(child);
	if (!child->follows)
		(void)umask(022);
	/* An ordinary user who runs the tests cannot take another identity. */
	if (child->restricted && !(TEST_BUILD && geteuid() != 0))
		take_identity(child);
	/* Only after the user has changed: this user must be able to enter the directory. */
	if (!child->follows && chdir(child->directory) < 0)
		child_fail(errno, "chdir(%s)", child->directory);
	processes_yield(false);
	reset_signals();
	if (child->builtin)
		become_builtin(child->argv);
	error = exec_program(child->argv, child->environment, &path);
	child_fail(error, "execve(%s)", path);
}

pid_t child_fork_following(void)
{
	/* No C library has a function for CLONE_FS. With one thread, nothing is lost that fork() does besides. */
	return (pid_t)syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
}

pid_t child_start(const struct child *child, int *report_fd)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 || (pid = child->follows ? child_fork_following() : fork()) < 0) {
		int error = errno;

		fd_close(&ends[0]);
		fd_close(&ends[1]);
		errno = error;
		return -1;
	}
	if (pid == 0) {
		report_end = ends[1];
		become(child);
	}
	fd_close(&ends[1]);
	*report_fd = ends[0];
	return pid;
}

int child_report(int *report_fd, char step[CHILD_STEP_BYTES])
{
	struct report report;
	ssize_t count = read(*report_fd, &report, sizeof(report));

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return CHILD_UNKNOWN;
	fd_close(report_fd);
	if (count == 0)
		return 0; /* execve closed the other end, or the started program did */
	if (count != (ssize_t)sizeof(report)) {
		(void)snprintf(step, CHILD_STEP_BYTES, "read(report of the child)");
		return EIO;
	}
	memcpy(step, report.step, sizeof(report.step));
	step[CHILD_STEP_BYTES - 1] = '\0';
	return report.error != 0 ? report.error : EIO;
}
