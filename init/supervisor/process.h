/*
 * Processes that are not children of this one. A pidfd pins a process: what is checked after it was opened is of the
 * process that a signal through it reaches, or the signal reaches none.
 */
#ifndef VS_PROCESS_H
#define VS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A pidfd; -1 with errno if there is no such process. */
int process_open(pid_t pid);

/* Sends a signal; 0 only checks that the process was not reaped. 0, or -1 with errno. */
int process_signal(int pidfd, int number);

/* The process ID that a file of libvirt's names; 0 if it is not there, or names none. */
pid_t process_in_file(const char *path);

/* Reads a file of a process in /proc, at most that many bytes. Their number; 0 if the process is gone. */
size_t process_file(pid_t pid, const char *name, char *text, size_t most);

/* The user that a process is of; -1 if it is gone. */
long process_user(pid_t pid);

/* Whether a signal or a tracer has stopped it. */
bool process_is_stopped(pid_t pid);

/* The command line of a process. */
struct words {
	char *text;
	size_t length;
};

/* Reads it, at most 128 KiB of it. False if it has none, as an ended process has not. */
bool words_read(pid_t pid, struct words *words);
void words_free(struct words *words);

/* The first word, or the one behind `word`; NULL behind the last one. */
const char *words_first(const struct words *words);
const char *words_next(const struct words *words, const char *word);

/* Whether one is `text`, alone or followed by one comma. In QEMU's command line a comma of a value is doubled. */
bool words_have(const struct words *words, const char *text);

/* Whether words_have() holds for the command line of a process. */
bool process_has_argument(pid_t pid, const char *argument);

#endif
