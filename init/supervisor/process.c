#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES 64
#define STATUS_BYTES 4096
#define COMMAND_BYTES 131072

int process_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int process_signal(int pidfd, int number)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

static size_t read_whole(const char *path, char *text, size_t most)
{
	size_t length = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && length < most) {
		ssize_t n = read(fd, text + length, most - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (fd >= 0)
		(void)close(fd);
	return length;
}

pid_t process_in_file(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	long pid = strtol(text, NULL, 10);

	return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

size_t process_file(pid_t pid, const char *name, char *text, size_t most)
{
	char path[PATH_BYTES];

	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
	return read_whole(path, text, most);
}

/* What stands behind `key` in the status of a process; NULL if it is gone. */
static const char *status_of(pid_t pid, const char *key, char status[STATUS_BYTES])
{
	status[process_file(pid, "status", status, STATUS_BYTES - 1)] = '\0';
	const char *at = strstr(status, key);

	return at == NULL ? NULL : at + strlen(key);
}

long process_user(pid_t pid)
{
	char status[STATUS_BYTES];
	const char *user = status_of(pid, "\nUid:\t", status);

	return user == NULL ? -1 : strtol(user, NULL, 10);
}

bool process_is_stopped(pid_t pid)
{
	char status[STATUS_BYTES];
	const char *state = status_of(pid, "\nState:\t", status);

	return state != NULL && (*state == 'T' || *state == 't');
}

bool words_read(pid_t pid, struct words *words)
{
	words->text = malloc(COMMAND_BYTES + 1);
	if (words->text == NULL)
		return false;
	words->length = process_file(pid, "cmdline", words->text, COMMAND_BYTES);
	words->text[words->length] = '\0';
	if (words->length > 0)
		return true;
	words_free(words);
	return false;
}

void words_free(struct words *words)
{
	free(words->text);
	words->text = NULL;
	words->length = 0;
}

const char *words_first(const struct words *words)
{
	return words->length > 0 ? words->text : NULL;
}

const char *words_next(const struct words *words, const char *word)
{
	const char *next = word + strlen(word) + 1;

	return next < words->text + words->length ? next : NULL;
}

bool words_have(const struct words *words, const char *text)
{
	size_t length = strlen(text);

	for (const char *word = words_first(words); word != NULL; word = words_next(words, word)) {
		/* A doubled comma is one of the value's. */
		if (strncmp(word, text, length) == 0 &&
		    (word[length] == '\0' || (word[length] == ',' && word[length + 1] != ',')))
			return true;
	}
	return false;
}

bool process_has_argument(pid_t pid, const char *argument)
{
	struct words words;

	if (!words_read(pid, &words))
		return false;
	bool found = words_have(&words, argument);

	words_free(&words);
	return found;
}
