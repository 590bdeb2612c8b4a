/*
 * write PATH MODE APPEND: writes stdin to a file.
 *
 * With APPEND, and for what is no regular file, it writes as bytes come. Else a file of another name in the same
 * directory gets the bytes, and takes the place of PATH at the end of stdin. SIGTERM ends it before that, and leaves
 * PATH as it was.
 */
#include "builtins/builtins.h"

#include "shared/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#define TEMPORARY_NAME ".virt-sandbox-%016llx"
/* With the NUL byte. */
#define TEMPORARY_BYTES 31

/* Empty: there is none. */
static char temporary[PATH_MAX + TEMPORARY_BYTES];

static void remove_temporary(void)
{
	if (temporary[0] != '\0')
		(void)unlink(temporary);
}

static void end_early(int number)
{
	remove_temporary();
	_exit(128 + number);
}

#define give_up(...)                              \
	do {                                      \
		int error = errno;                \
		remove_temporary();               \
		builtin_fail(error, __VA_ARGS__); \
	} while (0)

static void copy_stdin(int fd, const char *path)
{
	static char piece[PIECE_BYTES];

	for (;;) {
		ssize_t size = read(STDIN_FILENO, piece, sizeof(piece));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			give_up("read(stdin)");
		if (size == 0)
			return;
		if (write_all(fd, piece, (size_t)size) < 0)
			give_up("write(%s)", path);
	}
}

static void close_written(int fd, const char *path)
{
	if (close(fd) < 0)
		give_up("close(%s)", path);
}

static void write_in_place(const char *path, int flags, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, mode);

	if (fd < 0)
		builtin_fail(errno, "open(%s)", path);
	copy_stdin(fd, path);
	close_written(fd, path);
}

/* Opens a new file in the directory of `path`. */
static int open_temporary(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t directory = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	unsigned long long number;
	sigset_t term, before;
	int fd;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		builtin_fail(errno, "getrandom");
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	/* What others have made under that name stays. */
	(void)sigprocmask(SIG_BLOCK, &term, &before);
	memcpy(temporary, path, directory);
	(void)snprintf(temporary + directory, TEMPORARY_BYTES, TEMPORARY_NAME, number);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		builtin_fail(errno, "open(%s)", temporary);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return fd;
}

/* Gives the new file the owner and the mode of the old one. Bits that act as the owner are not for another one. */
static void take_over(int fd, const struct stat *old)
{
	bool is_owned = fchown(fd, old->st_uid, old->st_gid) == 0;

	if (fchmod(fd, old->st_mode & (is_owned ? 07777 : 0777)) < 0)
		give_up("fchmod(%s)", temporary);
}

/* @param old NULL: there is no such file */
static void replace(const char *path, mode_t mode, const struct stat *old)
{
	int fd;

	/* A file that this user may not write to is not replaced either. */
	if (old != NULL && access(path, W_OK) < 0)
		builtin_fail(errno, "open(%s)", path);
	fd = open_temporary(path);
	copy_stdin(fd, path);
	/* Only now: writing takes setuid and setgid away. */
	if (old != NULL)
		take_over(fd, old);
	else if (fchmod(fd, mode) < 0)
		give_up("fchmod(%s)", temporary);
	close_written(fd, path);
	if (rename(temporary, path) < 0)
		give_up("rename(%s, %s)", temporary, path);
}

void builtin_write(char **argv)
{
	static char resolved[PATH_MAX];
	const char *path = argv[0];
	mode_t mode = builtin_number(argv[1], BUILTIN_MODES);
	bool append = builtin_flag(argv[2]);
	struct stat status;

	/* The mode is what the host asks for. */
	(void)umask(0);
	(void)signal(SIGTERM, end_early);
	if (append) {
		write_in_place(path, O_APPEND | O_CREAT, mode);
		return;
	}
	if (lstat(path, &status) < 0) {
		if (errno != ENOENT)
			builtin_fail(errno, "open(%s)", path);
		replace(path, mode, NULL);
		return;
	}
	/* Where a link leads is replaced, not the link. */
	if (S_ISLNK(status.st_mode)) {
		if (realpath(path, resolved) == NULL || stat(resolved, &status) < 0)
			builtin_fail(errno, "open(%s)", path);
		path = resolved;
	}
	if (S_ISREG(status.st_mode))
		replace(path, mode, &status);
	else
		write_in_place(path, 0, 0);
}
