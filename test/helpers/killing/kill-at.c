/*
 * kill-at [-l LOG] [-c CALL,...] [-t CALL,...] [-n NUMBER] [-a] (-p PID | PROGRAM ARGUMENT...)
 *
 * Counts system calls as they begin, of all threads together, and kills the process that makes one of them, before it is
 * made. strace(1) counts each thread for itself, so that what a thread does after another one has made as many calls
 * cannot be met.
 *
 *   -c  the calls that count: names of the table. Of ioctl only FICLONE
 *   -t  calls that do not count, and are in the log, too
 *   -n  the number of the call whose process is killed, from 1; without it nothing is killed
 *   -a  PROGRAM is traced alone, without the processes that it starts
 *   -l  a line for each call that counts: the ID of the thread, the call, and the paths of a rename; a last one if a
 *       process was killed
 *   -p  traces a process that runs, without those that it starts; a line on standard error says when
 *
 * It ends when all that is traced has ended, as PROGRAM has ended.
 */
#include "kill-at-calls.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* Of <linux/fs.h>, which does not go with <sys/mount.h> everywhere. */
#define FICLONE_REQUEST 0x40049409
#define FAILED 125
#define STOPPED_AT_CALL (SIGTRAP | 0x80)

static bool counts[COUNT(calls)];
static bool logs[COUNT(calls)];
static unsigned long killed_at;
static unsigned long counted;
static bool alone;
static FILE *log_file;

__attribute__((format(printf, 1, 2))) static _Noreturn void fail(const char *format, ...)
{
	va_list arguments;

	(void)fputs("kill-at: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, ": %s\n", strerror(errno));
	exit(FAILED);
}

static void choose(bool *chosen, char *names)
{
	for (char *name = strtok(names, ","); name != NULL; name = strtok(NULL, ",")) {
		size_t at = 0;

		while (at < COUNT(calls) && strcmp(calls[at].name, name) != 0)
			at++;
		errno = EINVAL;
		if (at == COUNT(calls))
			fail("%s is not in the table", name);
		chosen[at] = true;
	}
}

/* The process of a thread. */
static pid_t process_of(pid_t thread)
{
	char path[64];
	char line[256];
	FILE *file;
	int process = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", thread);
	file = fopen(path, "re");
	if (file == NULL)
		fail("%s", path);
	while (process == 0 && fgets(line, sizeof(line), file) != NULL)
		(void)sscanf(line, "Tgid: %d", &process);
	(void)fclose(file);
	errno = ESRCH;
	if (process == 0)
		fail("%s has no process", path);
	return process;
}

/* Writes a text of a tracee, in quotation marks. What cannot be read is left out. */
static void log_text(pid_t thread, uint64_t address)
{
	char text[PATH_MAX] = "";
	const struct iovec ours = {.iov_base = text, .iov_len = sizeof(text) - 1};

	for (size_t length = sizeof(text) - 1; length > 0; length /= 2) {
		const struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = length};

		if (process_vm_readv(thread, &ours, 1, &theirs, 1, 0) > 0)
			break;
	}
	(void)fprintf(log_file, " \"%s\"", text);
}

static void log_call(pid_t thread, const struct call *call, const uint64_t *arguments)
{
	if (log_file == NULL)
		return;
	(void)fprintf(log_file, "%d %s", thread, call->name);
	if (call->number == __NR_rename) {
		log_text(thread, arguments[0]);
		log_text(thread, arguments[1]);
	}
	(void)fputc('\n', log_file);
}

static void begin_call(pid_t thread, const struct __ptrace_syscall_info *info)
{
	for (size_t at = 0; at < COUNT(calls); at++) {
		if ((!counts[at] && !logs[at]) || info->entry.nr != (uint64_t)calls[at].number)
			continue;
		if (calls[at].number == __NR_ioctl && info->entry.args[1] != FICLONE_REQUEST)
			return;
		log_call(thread, &calls[at], info->entry.args);
		if (!counts[at] || ++counted != killed_at)
			return;
		if (log_file != NULL)
			(void)fprintf(log_file, "%d killed\n", thread);
		if (kill(process_of(thread), SIGKILL) < 0)
			fail("kill");
		return;
	}
}

/* It may have been killed. */
static void go_on(enum __ptrace_request how, pid_t thread, int signal)
{
	if (ptrace(how, thread, NULL, (void *)(intptr_t)signal) < 0 && errno != ESRCH)
		fail("ptrace(%d)", thread);
}

static bool stops(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void stopped(pid_t thread, int status)
{
	const int signal = WSTOPSIG(status);
	const int event = status >> 16;
	struct __ptrace_syscall_info info;

	if (signal == STOPPED_AT_CALL) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof(info), &info) < 0) {
			if (errno != ESRCH)
				fail("ptrace(PTRACE_GET_SYSCALL_INFO)");
		} else if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			begin_call(thread, &info);
		}
		go_on(PTRACE_SYSCALL, thread, 0);
	} else if (event == PTRACE_EVENT_STOP && stops(signal)) {
		go_on(PTRACE_LISTEN, thread, 0);
	} else {
		go_on(PTRACE_SYSCALL, thread, event == 0 ? signal : 0);
	}
}

static void seize(pid_t thread)
{
	intptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;

	if (!alone)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	/* It may end meanwhile. */
	if (ptrace(PTRACE_SEIZE, thread, NULL, (void *)options) < 0) {
		if (errno != ESRCH)
			fail("ptrace(PTRACE_SEIZE, %d)", thread);
		return;
	}
	if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 && errno != ESRCH)
		fail("ptrace(PTRACE_INTERRUPT, %d)", thread);
}

/* Its threads must not start others meanwhile, which those of Node.js do not once it has begun to work. */
static void attach(pid_t process)
{
	char path[64];
	const struct dirent *entry;
	DIR *threads;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", process);
	threads = opendir(path);
	if (threads == NULL)
		fail("%s", path);
	while ((entry = readdir(threads)) != NULL) {
		if (entry->d_name[0] != '.')
			seize((pid_t)strtol(entry->d_name, NULL, 10));
	}
	(void)closedir(threads);
}

/* It begins when this process lets it. */
static pid_t start(char **words)
{
	int gate[2];
	char byte;
	pid_t child;

	if (pipe(gate) < 0)
		fail("pipe");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		(void)close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(FAILED);
		(void)close(gate[0]);
		(void)execvp(words[0], words);
		fail("%s", words[0]);
	}
	(void)close(gate[0]);
	seize(child);
	if (write(gate[1], "", 1) != 1)
		fail("write");
	(void)close(gate[1]);
	return child;
}

/* The status of `first`, when no tracee is left. */
static int trace(pid_t first)
{
	int found = 0;

	for (;;) {
		int status;
		pid_t thread = waitpid(-1, &status, __WALL);

		if (thread < 0 && errno == EINTR)
			continue;
		if (thread < 0 && errno == ECHILD)
			return found;
		if (thread < 0)
			fail("waitpid");
		if (WIFSTOPPED(status))
			stopped(thread, status);
		else if (thread == first)
			found = status;
	}
}

static _Noreturn void end_as(int status)
{
	static const struct rlimit none;

	if (log_file != NULL && fclose(log_file) != 0)
		fail("the log");
	if (WIFSIGNALED(status)) {
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)signal(WTERMSIG(status), SIG_DFL);
		(void)raise(WTERMSIG(status));
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : FAILED);
}

int main(int argc, char **argv)
{
	pid_t process = 0;
	int option;

	while ((option = getopt(argc, argv, "+l:c:t:n:p:a")) != -1) {
		switch (option) {
		case 'l':
			log_file = fopen(optarg, "we");
			if (log_file == NULL)
				fail("%s", optarg);
			/* A line is there before its call is made, and before its process is killed. */
			if (setvbuf(log_file, NULL, _IOLBF, 0) != 0)
				fail("setvbuf");
			break;
		case 'c':
			choose(counts, optarg);
			break;
		case 't':
			choose(logs, optarg);
			break;
		case 'n':
			killed_at = strtoul(optarg, NULL, 10);
			break;
		case 'a':
			alone = true;
			break;
		case 'p':
			process = (pid_t)strtol(optarg, NULL, 10);
			alone = true;
			break;
		default:
			exit(FAILED);
		}
	}
	if (process != 0) {
		attach(process);
		(void)fputs("attached\n", stderr);
	} else if (argv[optind] != NULL) {
		process = start(argv + optind);
	} else {
		errno = EINVAL;
		fail("there is no program");
	}
	/* Ctrl+C is for PROGRAM, which has begun without this. */
	(void)signal(SIGINT, SIG_IGN);
	end_as(trace(process));
}
