#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define TEXT_BYTES 1024
#define SPHERE_BYTES 64
#define BOOT_DIGITS 12

/* Fields of /proc/PID/stat behind the name: state is the 3rd field of proc_pid_stat(5), the start time the 22nd. */
#define STATE_FIELD 3
#define START_FIELD 22

static bool read_text(const char *path, char text[TEXT_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
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
	if (!read_text(path, text))
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

bool owner_lives(const char *directory, pid_t caller)
{
	char path[PATH_BYTES];
	char text[TEXT_BYTES];
	char started[32];
	long pid;

	if ((size_t)snprintf(path, sizeof(path), "%s/owner", directory) >= sizeof(path))
		return true;
	/* A directory appears with this file in it. */
	if (!read_text(path, text))
		return errno != ENOENT;
	return sscanf(text, "%ld %31s", &pid, started) == 2 && pid != (long)caller && lives(pid, started);
}

bool owner_is(const char *directory, int lock)
{
	char path[PATH_BYTES];
	struct stat there, locked;

	if ((size_t)snprintf(path, sizeof(path), "%s/owner", directory) >= sizeof(path))
		return false;
	if (lstat(path, &there) != 0)
		return lock < 0 && errno == ENOENT;
	return lock >= 0 && fstat(lock, &locked) == 0 && there.st_ino == locked.st_ino && there.st_dev == locked.st_dev;
}

/* As src/util/sphere.ts has it: 12 digits of the boot, a hyphen, the number of the PID namespace. */
static bool read_sphere(char sphere[SPHERE_BYTES])
{
	char text[TEXT_BYTES];
	size_t length = 0;
	ssize_t n;

	if (!read_text("/proc/sys/kernel/random/boot_id", text))
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

bool owner_was_here(const char *directory)
{
	char path[PATH_BYTES];
	char text[TEXT_BYTES];
	char its[SPHERE_BYTES], here[SPHERE_BYTES];

	return (size_t)snprintf(path, sizeof(path), "%s/owner", directory) < sizeof(path) && read_text(path, text) &&
	       sscanf(text, "%*d %*s %63s", its) == 1 && read_sphere(here) && strcmp(its, here) == 0;
}
