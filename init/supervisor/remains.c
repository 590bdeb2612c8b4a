#include "remains.h"

#include "process.h"
#include "timing.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than one sandbox has: one virt-qemu-run, one QEMU, one virtiofsd for each share. */
#define MAX_PROCESSES 128

/* How long killed processes may take to end, in milliseconds. Only one that waits for a broken disk takes longer. */
#define KILLED_MS 5000

/* How often to look for processes that appeared meanwhile, in milliseconds. */
#define LOOK_MS 100

/* Of a PID file of libvirt for a virtiofsd. */
#define SERVER_PID "-fs.pid"

/* What a process does for the sandbox; NOTHING: it is another's. */
enum part { NOTHING, SUPERVISOR, DRIVER, MACHINE };

struct sandbox {
	const char *directory;
	/* The domain's name. */
	const char *name;
	/* The directory's other path, see alias.h; empty if there is none. */
	char alias[PATH_MAX];
	/* The directory of libvirt's PID files. */
	char pids[PATH_MAX];
	/* As in QEMU's command line. */
	char guest[PATH_MAX];
	uid_t user;
};

struct found {
	size_t count;
	pid_t pid[MAX_PROCESSES];
	int pidfd[MAX_PROCESSES];
	enum part part[MAX_PROCESSES];
};

static bool put(char to[PATH_MAX], const char *directory, const char *below)
{
	return (size_t)snprintf(to, PATH_MAX, "%s%s", directory, below) < PATH_MAX;
}

static bool know_sandbox(struct sandbox *sandbox, const char *directory)
{
	char link[PATH_MAX];
	ssize_t n;

	sandbox->directory = directory;
	sandbox->name = strrchr(directory, '/') + 1;
	sandbox->user = geteuid();
	if (!put(link, directory, "/alias") || !put(sandbox->pids, directory, "/libvirt/run/qemu") ||
	    !put(sandbox->guest, "guest=", sandbox->name))
		return false;
	n = readlink(link, sandbox->alias, sizeof(sandbox->alias) - 1);
	sandbox->alias[n > 0 ? n : 0] = '\0';
	return true;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Whether `word` ends in `directory` and `below`. An empty directory is no one's. */
static bool is_path(const char *word, const char *directory, const char *below)
{
	size_t length = strlen(directory);

	return length > 0 && strncmp(word, directory, length) == 0 && strcmp(word + length, below) == 0;
}

/* Whether a word of QEMU's command line has path=DIRECTORY/ in it. */
static bool names_socket(const char *word, const char *directory)
{
	static const char key[] = "path=";
	size_t length = strlen(directory);

	for (const char *at = strstr(word, key); at != NULL && length > 0; at = strstr(at, key)) {
		at += strlen(key);
		if (strncmp(at, directory, length) == 0 && at[length] == '/')
			return true;
	}
	return false;
}

static bool is_supervisor(const struct sandbox *sandbox, const struct words *words)
{
	const char *program = words_first(words);
	const char *directory = words_next(words, program);

	return strcmp(base_name(program), "supervisor") == 0 && directory != NULL &&
	       strcmp(directory, sandbox->directory) == 0;
}

/* root-view executes virt-qemu-run, or stays to hold the view. virt-qemu-run has its directory behind -r. */
static bool is_driver(const struct sandbox *sandbox, const struct words *words)
{
	const char *before = words_first(words);
	bool is_view = strcmp(base_name(before), "root-view") == 0;

	if (!is_view && strcmp(base_name(before), "virt-qemu-run") != 0)
		return false;
	for (const char *word = words_next(words, before); word != NULL; word = words_next(words, word)) {
		if (strcmp(before, "-r") == 0 &&
		    (is_path(word, sandbox->directory, "/libvirt") || is_path(word, sandbox->alias, "/libvirt")))
			return true;
		if (is_view && is_path(word, sandbox->directory, "/root"))
			return true;
		before = word;
	}
	return false;
}

static bool is_qemu(const struct sandbox *sandbox, const struct words *words)
{
	if (!words_have(words, sandbox->guest))
		return false;
	for (const char *word = words_first(words); word != NULL; word = words_next(words, word)) {
		if (names_socket(word, sandbox->directory) || names_socket(word, sandbox->alias))
			return true;
	}
	return false;
}

/* Whether a PID file whose name ends so is of this process. */
static bool has_pid_file(const struct sandbox *sandbox, const char *ending, pid_t pid)
{
	DIR *files = opendir(sandbox->pids);
	bool found = false;

	if (files == NULL)
		return false;
	for (struct dirent *entry = readdir(files); entry != NULL && !found; entry = readdir(files)) {
		char path[PATH_MAX];
		char text[32] = "";
		size_t length = strlen(entry->d_name);

		if (length < strlen(ending) || strcmp(entry->d_name + length - strlen(ending), ending) != 0 ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", sandbox->pids, entry->d_name) >= sizeof(path))
			continue;
		FILE *file = fopen(path, "re");

		found = file != NULL && fgets(text, sizeof(text), file) != NULL && strtol(text, NULL, 10) == pid;
		if (file != NULL)
			(void)fclose(file);
	}
	(void)closedir(files);
	return found;
}

static enum part part_of(const struct sandbox *sandbox, pid_t pid)
{
	struct words words;
	enum part part = NOTHING;

	if (!words_read(pid, &words))
		return NOTHING;
	bool ours = process_user(pid) == (long)sandbox->user;

	if (ours && is_supervisor(sandbox, &words))
		part = SUPERVISOR;
	else if (ours && is_driver(sandbox, &words))
		part = DRIVER;
	else if (is_qemu(sandbox, &words) && (ours || has_pid_file(sandbox, ".pid", pid)))
		part = MACHINE;
	else if (words_have(&words, "--shared-dir") && has_pid_file(sandbox, SERVER_PID, pid))
		part = MACHINE;
	words_free(&words);
	return part;
}

/* The pidfd comes first, so that what is checked is what gets a signal. */
static void look(const struct sandbox *sandbox, struct found *found)
{
	DIR *processes = opendir("/proc");

	found->count = 0;
	if (processes == NULL)
		return;
	for (struct dirent *entry = readdir(processes); entry != NULL && found->count < MAX_PROCESSES;
	     entry = readdir(processes)) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		int pidfd = pid > 1 && pid != getpid() && pid != getppid() ? process_open(pid) : -1;
		enum part part = pidfd >= 0 ? part_of(sandbox, pid) : NOTHING;

		if (part == NOTHING) {
			if (pidfd >= 0)
				(void)close(pidfd);
			continue;
		}
		found->pid[found->count] = pid;
		found->pidfd[found->count] = pidfd;
		found->part[found->count++] = part;
	}
	(void)closedir(processes);
}

static void release(struct found *found)
{
	while (found->count > 0)
		(void)close(found->pidfd[--found->count]);
}

/* Waits until one of them has ended, or it is time to look again. */
static void await_end(const struct found *found)
{
	struct pollfd fds[MAX_PROCESSES];

	for (size_t i = 0; i < found->count; i++)
		fds[i] = (struct pollfd){.fd = found->pidfd[i], .events = POLLIN};
	(void)poll(fds, found->count, LOOK_MS);
}

static bool has_driver(const struct found *found)
{
	for (size_t i = 0; i < found->count; i++) {
		if (found->part[i] == DRIVER)
			return true;
	}
	return false;
}

static void send_signals(const struct found *found, bool kills)
{
	bool driven = has_driver(found);

	for (size_t i = 0; i < found->count; i++) {
		if (kills || found->part[i] == SUPERVISOR)
			(void)process_signal(found->pidfd[i], SIGKILL);
		else if (found->part[i] == DRIVER || !driven)
			(void)process_signal(found->pidfd[i], SIGTERM);
	}
}

void remains_kill_supervisors(const char *directory)
{
	struct sandbox sandbox;
	struct found found;

	if (!know_sandbox(&sandbox, directory))
		return;
	look(&sandbox, &found);
	for (size_t i = 0; i < found.count; i++) {
		if (found.part[i] == SUPERVISOR)
			(void)process_signal(found.pidfd[i], SIGKILL);
	}
	release(&found);
}

int remains_end(const char *directory)
{
	struct sandbox sandbox;
	struct found found;
	long long deadline = now_ms() + GRACE_MS;

	if (!know_sandbox(&sandbox, directory))
		return -1;
	for (;;) {
		long long now = now_ms();

		look(&sandbox, &found);
		if (found.count == 0)
			return 0;
		if (now >= deadline + KILLED_MS) {
			(void)dprintf(2, "%s: its process %ld does not end\n", directory, (long)found.pid[0]);
			release(&found);
			return -1;
		}
		send_signals(&found, now >= deadline);
		await_end(&found);
		release(&found);
	}
}
