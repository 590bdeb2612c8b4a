/*
 * The process that outlives the launcher. It waits until the launcher is done or dead, however it died, and then ends
 * what the launcher started and removes what it made.
 *
 *   supervisor DIRECTORY [--log FILE] [--begin FILE] [--kill] [--small-pages] [COMMAND ARG...]
 *   supervisor --remove-stale DIRECTORY      does that of one whose owner is dead: stale_remove()
 *   supervisor --take-over DIRECTORY         does that of its parent's, whose supervisor is gone: stale_take_over()
 *
 * fd 0  a pipe (or socket) from the launcher. Its end is the order to clean up; before that, it may carry lines:
 *         keep               leave the terminal as it is, unless the launcher dies
 *         end PID ARGUMENT   kill the process that has ARGUMENT among its arguments, see kill_qemu()
 *         expect..., last    the same when the pipe ends, if the process still runs: see last.h
 * fd 1  a pipe to the launcher: "started\n" when COMMAND runs, "exited STATUS\n" when it has ended, "ended 1\n" or
 *       "ended 0\n" in answer to end, "left PATH...\n" when all has ended but PATH is still there: see enum removal,
 *       whose value is the exit status
 * fd 3  optional: a terminal. Its settings are saved now, and restored if the launcher died without having said keep, or
 *       before all has ended
 *
 * It is a child subreaper. A daemon that COMMAND leaves behind (QEMU under libvirt's embedded driver) is therefore
 * known, reaped at once, and ended here. --log is the log of such a QEMU: see bounded_log.h. Until
 * COMMAND opens the file of --begin, it runs on one processor: see processor.h. With --kill it is ended by SIGKILL,
 * since it has nothing to clean up but what is in DIRECTORY. With --small-pages it and what it starts get no
 * transparent huge pages.
 */
#include "alias.h"
#include "arguments.h"
#include "aside.h"
#include "bounded_log.h"
#include "children.h"
#include "command.h"
#include "container.h"
#include "control.h"
#include "kill_qemu.h"
#include "last.h"
#include "locks.h"
#include "owner.h"
#include "processor.h"
#include "report.h"
#include "stale.h"
#include "timing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define CONTROL_FD 0
#define TERMINAL_FD 3

/*
 * How long COMMAND may take to end before the killed QEMU's sockets are closed, in milliseconds. While libvirt starts a
 * domain it waits for QEMU's answer, and for nothing else.
 */
#define HELD_MS 300

/* How often to give a sign of life, in milliseconds. */
#define BEAT_MS (60 * 60 * 1000)

/* How often to send SIGKILL again to children that appeared meanwhile, in milliseconds. */
#define KILLED_MS 100

/* Reaps every child that has ended; *command becomes 0 if it is among them. False if no child is left. */
static bool reap(pid_t *command)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == 0)
			return true;
		if (pid < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (pid == *command) {
			char line[64];

			*command = 0;
			(void)snprintf(line, sizeof(line), "exited %d\n", status);
			report(line);
		}
	}
}

/* It does not matter which child has ended: reap() looks for all. */
static void drain(int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) > 0)
		if (info.ssi_signo == SIGIO)
			processor_release();
}

static void reap_one_more(void *command)
{
	(void)reap(command);
}

/* What ends COMMAND. */
static int last_signal = SIGTERM;

/* True for the order to leave the terminal as it is. */
static bool obey(const char *order, pid_t *command)
{
	const char *argument;
	pid_t pid;

	if (strcmp(order, "keep") == 0)
		return true;
	if (!last_obey(order) && control_is("end", order, &pid, &argument)) {
		/* COMMAND is about to be told to end. libvirt may deadlock if it hears of QEMU's end at that moment. */
		bool keep = *command > 0;

		/* One that is killed needs no time to notice, so both can end at once. */
		if (keep && last_signal == SIGKILL)
			(void)kill(*command, SIGKILL);
		report(kill_qemu(pid, argument, keep, reap_one_more, command) ? "ended 1\n" : "ended 0\n");
	}
	return false;
}

/*
 * Waits until the launcher's end of the control pipe is closed. True if the launcher said that the terminal may stay as
 * it is.
 */
static bool await_launcher(int signals, pid_t *command, int state)
{
	struct control control = {.length = 0};
	long long beat = now_ms();
	bool keep = false;

	for (;;) {
		long long left = beat - now_ms();

		if (left <= 0) {
			owner_beat(state);
			left = BEAT_MS;
			beat = now_ms() + left;
		}
		struct pollfd fds[] = {{.fd = CONTROL_FD, .events = POLLIN},
				       {.fd = signals, .events = POLLIN},
				       {.fd = bounded_log_fd(), .events = POLLIN}};

		if (poll(fds, 3, bounded_log_wait((int)left)) < 0) {
			if (errno == EINTR)
				continue;
			return keep;
		}
		bounded_log_cut();
		if (fds[1].revents & POLLIN) {
			drain(signals);
			(void)reap(command);
		}
		if (fds[0].revents != 0) {
			char order[CONTROL_BYTES];

			if (!control_read(&control, CONTROL_FD))
				return keep;
			while (control_next(&control, order))
				keep |= obey(order, command);
		}
	}
}

/* Ends COMMAND, and then every process that has become a child of this one: SIGTERM first, SIGKILL after GRACE_MS. */
static void end_children(int signals, pid_t *command)
{
	long long release = now_ms() + HELD_MS;
	long long deadline = now_ms() + GRACE_MS;
	bool held = true;
	bool changed = true;

	if (*command > 0 && kill(*command, last_signal) != 0)
		deadline = now_ms();
	while (reap(command)) {
		/* With a child that has ended, its own children become children of this process. */
		if (*command == 0 && changed) {
			(void)children_kill(getpid(), -1, SIGTERM);
			/* One that was stopped has something to clean up, too. */
			(void)children_kill(getpid(), -1, SIGCONT);
		}
		long long now = now_ms();
		long long left = deadline - now;

		if (held && (*command == 0 || now >= release)) {
			kill_qemu_release();
			held = false;
		}
		if (left <= 0) {
			(void)children_kill(getpid(), -1, SIGKILL);
			left = KILLED_MS;
		} else if (held && left > release - now) {
			left = release - now;
		}
		struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = bounded_log_fd(), .events = POLLIN}};

		changed = poll(fds, 2, bounded_log_wait((int)left)) > 0 && fds[0].revents != 0;
		if (changed)
			drain(signals);
		bounded_log_cut();
	}
}

static int remove_state(const char *directory, int state)
{
	char reason[REASON_BYTES];

	container_remove(directory, state);
	/* Without the lock too: leaving the directory would be worse than a claim at the same moment. */
	enum removal result = remove_aside(directory, state, lock_removals(directory), reason);

	if (result == REMOVED) {
		stale_remove_beside(directory);
		return 0;
	}
	report("left ");
	report(reason);
	report("\n");
	return result;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && argv[2][0] == '/' && strcmp(argv[1], "--remove-stale") == 0)
		return stale_remove(argv[2]);
	if (argc == 3 && argv[2][0] == '/' && strcmp(argv[1], "--take-over") == 0)
		return stale_take_over(argv[2]);
	struct arguments arguments;

	if (!arguments_parse(&arguments, argv))
		return 2;
	pid_t launcher = getppid();

	/* A Ctrl+C at the terminal reaches only the launcher, and restoring the terminal cannot stop this process. */
	if (setsid() < 0 && errno != EPERM)
		return report_failure("setsid");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return report_failure("prctl(PR_SET_CHILD_SUBREAPER)");

	struct termios saved;
	bool terminal = tcgetattr(TERMINAL_FD, &saved) == 0;
	sigset_t all, original;

	(void)signal(SIGPIPE, SIG_IGN);
	if (sigfillset(&all) != 0 || sigprocmask(SIG_BLOCK, &all, &original) != 0)
		return report_failure("sigprocmask");
	sigset_t watched;

	if (sigemptyset(&watched) != 0 || sigaddset(&watched, SIGCHLD) != 0 || sigaddset(&watched, SIGIO) != 0)
		return report_failure("sigaddset");
	int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);

	if (signals < 0)
		return report_failure("signalfd");

	/* Nobody else may clean up while this process is there. A directory without an owner needs no lock. */
	int state = state_open(arguments.directory);

	if (state >= 0 && lock_state(state, 0) < 0 && errno == EWOULDBLOCK)
		return report_failure("lock of the state directory");
	alias_keep(arguments.directory);

	pid_t command = 0;

	if (arguments.log != NULL && !bounded_log_watch(arguments.log))
		return report_failure(arguments.log);
	if (arguments.begin != NULL)
		processor_watch(arguments.begin);
	if (arguments.kill)
		last_signal = SIGKILL;
	if (*arguments.command != NULL) {
		command = command_start(arguments.command, &original, arguments.small_pages);
		if (command < 0)
			return report_failure("fork");
	}
	report("started\n");

	bool keep = await_launcher(signals, &command, state);
	if (terminal && !keep)
		(void)tcsetattr(TERMINAL_FD, TCSANOW, &saved);
	last_end(reap_one_more, &command);
	end_children(signals, &command);
	int result = state < 0 ? 0 : remove_state(arguments.directory, state);

	/* The launcher was killed before it had done what it said it would do. */
	if (terminal && keep && getppid() != launcher)
		(void)tcsetattr(TERMINAL_FD, TCSANOW, &saved);
	return result;
}
