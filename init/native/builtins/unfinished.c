#include "builtins/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FORMAT ".virt-sandbox-%016llx"
/* With the NUL byte. */
#define NAME_BYTES 31

static struct {
	/* Set last, and only while SIGTERM waits. */
	volatile sig_atomic_t exists;
	int directory;
	char name[NAME_BYTES];
} unfinished;

void unfinished_remove(void)
{
	if (unfinished.exists)
		(void)unlinkat(unfinished.directory, unfinished.name, 0);
	unfinished.exists = 0;
}

static void on_terminate(int number)
{
	unfinished_remove();
	_exit(128 + number);
}

void unfinished_end_on_terminate(void)
{
	/* A signal that can be caught, and a handler that exists: it cannot fail. */
	(void)signal(SIGTERM, on_terminate);
}

/* What is made: a link to `target`, a FIFO, another name of a file, or else a file. */
struct kind {
	const char *target;
	mode_t mode;
	int from;
	const char *name;
};

static int make(const struct kind *kind)
{
	if (kind->target != NULL)
		return symlinkat(kind->target, unfinished.directory, unfinished.name);
	if (kind->name != NULL)
		return linkat(kind->from, kind->name, unfinished.directory, unfinished.name, 0);
	if (S_ISFIFO(kind->mode))
		return mkfifoat(unfinished.directory, unfinished.name, kind->mode & 07777);
	return openat(unfinished.directory, unfinished.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      0600);
}

/* Makes it while SIGTERM waits: what others have made under that name stays. */
static int begin(int directory, const struct kind *kind)
{
	unsigned long long number;
	sigset_t term, before;
	int result, error;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return -1;
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, &before);
	(void)snprintf(unfinished.name, sizeof(unfinished.name), NAME_FORMAT, number);
	unfinished.directory = directory;
	result = make(kind);
	error = errno;
	unfinished.exists = result >= 0;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return result;
}

int unfinished_open(int directory)
{
	return begin(directory, &(struct kind){0});
}

int unfinished_symlink(int directory, const char *target)
{
	return begin(directory, &(struct kind){.target = target});
}

int unfinished_mkfifo(int directory, mode_t mode)
{
	return begin(directory, &(struct kind){.mode = S_IFIFO | mode});
}

int unfinished_link(int directory, int from, const char *name)
{
	return begin(directory, &(struct kind){.from = from, .name = name});
}

int unfinished_stat(struct stat *found)
{
	return fstatat(unfinished.directory, unfinished.name, found, AT_SYMLINK_NOFOLLOW);
}

int unfinished_set_times(const struct timespec times[2])
{
	return utimensat(unfinished.directory, unfinished.name, times, AT_SYMLINK_NOFOLLOW);
}

int unfinished_rename(const char *name)
{
	if (renameat(unfinished.directory, unfinished.name, unfinished.directory, name) < 0)
		return -1;
	unfinished.exists = 0;
	return 0;
}

int unfinished_rename_hard_link(const char *name)
{
	if (renameat(unfinished.directory, unfinished.name, unfinished.directory, name) < 0)
		return -1;
	/* Two names of one file stay both. */
	unfinished_remove();
	return 0;
}
