#include "part.h"

#include "owner.h"
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How the names of libvirt's PID files end: of a QEMU, and of a virtiofsd. */
#define QEMU_PID ".pid"
#define SERVER_PID "-fs.pid"

static bool put(char to[PATH_MAX], const char *directory, const char *below)
{
	return (size_t)snprintf(to, PATH_MAX, "%s%s", directory, below) < PATH_MAX;
}

/* Writes KEY, `value` with each comma doubled, and `end`. False if that is too long. */
static bool put_doubled(char to[DOUBLED_BYTES], const char *key, const char *value, const char *end)
{
	size_t length = strlen(key);

	if (length + 2 * strlen(value) + strlen(end) >= DOUBLED_BYTES)
		return false;
	memcpy(to, key, length);
	for (; *value != '\0'; value++) {
		if (*value == ',')
			to[length++] = ',';
		to[length++] = *value;
	}
	memcpy(to + length, end, strlen(end) + 1);
	return true;
}

bool sandbox_know(struct sandbox *sandbox, const char *directory, int state)
{
	ssize_t n = readlinkat(state, "alias", sandbox->alias, sizeof(sandbox->alias) - 1);

	sandbox->alias[n > 0 ? n : 0] = '\0';
	sandbox->directory = directory;
	sandbox->state = state;
	sandbox->user = geteuid();
	sandbox->alias_socket[0] = '\0';
	return put(sandbox->pids, directory, "/libvirt/run/qemu") &&
	       put_doubled(sandbox->guest, "guest=", strrchr(directory, '/') + 1, "") &&
	       put_doubled(sandbox->socket, "path=", directory, "/") &&
	       (n <= 0 || put_doubled(sandbox->alias_socket, "path=", sandbox->alias, "/"));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* Whether `word` is `directory` and `below`. An empty directory is no one's. */
static bool is_path(const char *word, const char *directory, const char *below)
{
	size_t length = strlen(directory);

	return length > 0 && strncmp(word, directory, length) == 0 && strcmp(word + length, below) == 0;
}

static bool is_supervisor(const struct sandbox *sandbox, const struct words *words)
{
	const char *program = words_first(words);
	const char *directory = words_next(words, program);

	return strcmp(base_name(program), "supervisor") == 0 && directory != NULL &&
	       strcmp(directory, sandbox->directory) == 0;
}

/* virt-qemu-run has its directory behind -r. */
static bool is_driver(const struct sandbox *sandbox, const struct words *words)
{
	const char *before = words_first(words);

	if (strcmp(base_name(before), "virt-qemu-run") != 0)
		return false;
	for (const char *word = words_next(words, before); word != NULL; word = words_next(words, word)) {
		if (strcmp(before, "-r") == 0 &&
		    (is_path(word, sandbox->directory, "/libvirt") || is_path(word, sandbox->alias, "/libvirt")))
			return true;
		before = word;
	}
	return false;
}

/* A root-view that stays to hold the view, or is about to execute virt-qemu-run. */
static bool is_view(const struct sandbox *sandbox, const struct words *words)
{
	const char *program = words_first(words);

	if (strcmp(base_name(program), "root-view") != 0)
		return false;
	for (const char *word = words_next(words, program); word != NULL; word = words_next(words, word)) {
		if (is_path(word, sandbox->directory, "/root") || is_path(word, sandbox->directory, "/libvirt") ||
		    is_path(word, sandbox->alias, "/libvirt"))
			return true;
	}
	return false;
}

static bool is_qemu(const struct sandbox *sandbox, const struct words *words)
{
	if (!words_have(words, sandbox->guest))
		return false;
	for (const char *word = words_first(words); word != NULL; word = words_next(words, word)) {
		if (strstr(word, sandbox->socket) != NULL ||
		    (sandbox->alias_socket[0] != '\0' && strstr(word, sandbox->alias_socket) != NULL))
			return true;
	}
	return false;
}

/* Whether the process sees the directory at its path: in another mount namespace another one may be there. */
static bool sees(const struct sandbox *sandbox, pid_t pid)
{
	char path[PATH_MAX + 64];

	return (size_t)snprintf(path, sizeof(path), "/proc/%ld/root%s", (long)pid, sandbox->directory) < sizeof(path) &&
	       state_is(path, sandbox->state);
}

/*
 * Whether the process holds the lock of the PID file, which libvirt has every process that it starts hold as long as
 * it runs (virPidFileAcquirePath in its source). The number in the file may be another process's by now. QEMU's user
 * may write to the directory, but makes no file of this user's there.
 */
static bool holds_lock(const struct sandbox *sandbox, const char *path, pid_t pid)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct stat info;
	bool holds;

	if (fd < 0)
		return false;
	holds = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_uid == sandbox->user &&
		fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == pid;
	(void)close(fd);
	return holds;
}

/* Whether the process holds the lock of a PID file whose name ends so. */
static bool has_pid_file(const struct sandbox *sandbox, const char *ending, pid_t pid)
{
	DIR *files = opendir(sandbox->pids);
	bool found = false;

	if (files == NULL)
		return false;
	for (struct dirent *entry = readdir(files); entry != NULL && !found; entry = readdir(files)) {
		char path[PATH_MAX];
		size_t length = strlen(entry->d_name);

		if (length < strlen(ending) || strcmp(entry->d_name + length - strlen(ending), ending) != 0 ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", sandbox->pids, entry->d_name) >= sizeof(path))
			continue;
		found = holds_lock(sandbox, path, pid);
	}
	(void)closedir(files);
	return found;
}

enum part sandbox_part(const struct sandbox *sandbox, pid_t pid)
{
	struct words words;
	enum part part = NOTHING;

	if (!words_read(pid, &words))
		return NOTHING;
	bool ours = process_user(pid) == (long)sandbox->user;

	if (ours && is_supervisor(sandbox, &words) && sees(sandbox, pid))
		part = SUPERVISOR;
	else if (ours && is_driver(sandbox, &words) && sees(sandbox, pid))
		part = DRIVER;
	else if (ours && is_view(sandbox, &words) && sees(sandbox, pid))
		part = VIEW;
	else if (is_qemu(sandbox, &words) && ((ours && sees(sandbox, pid)) || has_pid_file(sandbox, QEMU_PID, pid)))
		part = MACHINE;
	else if (words_have(&words, "--shared-dir") && has_pid_file(sandbox, SERVER_PID, pid))
		part = MACHINE;
	words_free(&words);
	return part;
}
