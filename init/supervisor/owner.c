#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 1024
#define SPHERE_BYTES 64
#define BOOT_DIGITS 12

/* Fields of /proc/PID/stat behind the name: state is the 3rd field of proc_pid_stat(5), the start time the 22nd. */
#define STATE_FIELD 3
#define START_FIELD 22

static bool read_text(int directory, const char *path, char text[TEXT_BYTES])
{
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, TEXT_BYTES - 1);
	(void)close(fd);
	if (n < 0) {
		errno = EIO;
		return false;
	}
	text[n] = '\0';
	return true;
}

/* Whether the process with that start time still runs. A zombie does not. */
static bool lives(long pid, const char *started)
{
	char path[64];
	char text[TEXT_BYTES];
	char *at;
	char state;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	if (!read_text(AT_FDCWD, path, text))
		return errno != ENOENT && errno != ESRCH;
	at = strrchr(text, ')');
	if (at == NULL || at[1] != ' ')
		return true;
	at += 2;
	state = *at;
	for (int field = STATE_FIELD; field < START_FIELD && at != NULL; field++) {
		at = strchr(at, ' ');
		if (at != NULL)
			at++;
	}
	if (at == NULL || state == 'Z' || state == 'X')
		return at == NULL;
	return strncmp(at, started, strlen(started)) == 0 && at[strlen(started)] == ' ';
}

int state_open(const char *directory)
{
	return open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool state_is(const char *directory, int state)
{
	struct stat there, ours;

	return lstat(directory, &there) == 0 && fstat(state, &ours) == 0 && there.st_ino == ours.st_ino &&
	       there.st_dev == ours.st_dev;
}

bool owner_lives(int state, pid_t caller)
{
	char text[TEXT_BYTES];
	char started[32];
	long pid;

	/* A directory appears with this file in it. */
	if (!read_text(state, "owner", text))
		return errno != ENOENT;
	return sscanf(text, "%ld %31s", &pid, started) == 2 && pid != (long)caller && lives(pid, started);
}

/* As src/util/sphere.ts has it: 12 digits of the boot, a hyphen, the number of the PID namespace. */
static bool read_sphere(char sphere[SPHERE_BYTES])
{
	char text[TEXT_BYTES];
	size_t length = 0;
	ssize_t n;

	if (!read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text))
		return false;
	for (const char *at = text; *at != '\0' && *at != '\n' && length < BOOT_DIGITS; at++) {
		if (*at != '-')
			sphere[length++] = *at;
	}
	sphere[length++] = '-';
	n = readlink("/proc/self/ns/pid", text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; *at != '\0' && length < SPHERE_BYTES - 1; at++) {
		if (*at >= '0' && *at <= '9')
			sphere[length++] = *at;
	}
	sphere[length] = '\0';
	return n > 0;
}

enum owner owner_kind(int state)
{
	char text[TEXT_BYTES];
	char its[SPHERE_BYTES], here[SPHERE_BYTES];

	if (!read_text(state, "owner", text))
		return errno == ENOENT ? OWNER_ABSENT : OWNER_ELSEWHERE;
	/* It is written by one write, which ends with a newline. */
	if (strchr(text, '\n') == NULL)
		return OWNER_TORN;
	return sscanf(text, "%*d %*s %63s", its) == 1 && read_sphere(here) && strcmp(its, here) == 0 ? OWNER_HERE
												     : OWNER_ELSEWHERE;
}

void owner_beat(int state)
{
	(void)utimensat(state, "owner", NULL, AT_SYMLINK_NOFOLLOW);
}

bool owner_is_silent(int state, time_t seconds)
{
	struct stat directory, file;
	time_t now = time(NULL);

	return fstat(state, &directory) == 0 && directory.st_mtime + seconds < now &&
	       (fstatat(state, "owner", &file, AT_SYMLINK_NOFOLLOW) != 0 || file.st_mtime + seconds < now);
}
