#include "note.h"

#include "timing.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NOTE_BYTES 32

/* The clock may have been set meanwhile. */
static int left_of(int fd)
{
	struct stat info;
	struct timespec now;

	if (fstat(fd, &info) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
		return EXPECTED_MS;
	long long age = (now.tv_sec - info.st_mtim.tv_sec) * 1000LL + (now.tv_nsec - info.st_mtim.tv_nsec) / 1000000;

	if (age < 0)
		return EXPECTED_MS;
	return age < EXPECTED_MS ? EXPECTED_MS - (int)age : 0;
}

/* The number that `text` begins with, and is followed by `end`; -1 if it does not. `*rest` is what is behind. */
static long number_before(const char *text, char end, const char **rest)
{
	char *behind;

	if (!isdigit((unsigned char)*text))
		return -1;
	long number = strtol(text, &behind, 10);

	if (*behind != end || number > INT_MAX)
		return -1;
	*rest = behind + 1;
	return number;
}

static void parse(const char *text, struct note *note)
{
	const char *rest = text;
	long number = number_before(text, '\n', &rest);

	if (number > 1 && *rest == '\0') {
		note->controller = (pid_t)number;
		return;
	}
	if (number_before(text, ' ', &rest) != 0)
		return;
	number = number_before(rest, '\n', &rest);
	if (number > 1 && *rest == '\0')
		note->other = (pid_t)number;
}

bool note_read(int state, struct note *note)
{
	char text[NOTE_BYTES];
	int fd = openat(state, NOTE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return false;
	*note = (struct note){.left_ms = left_of(fd)};
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	if (n == 0)
		return false;
	text[n > 0 ? n : 0] = '\0';
	parse(text, note);
	return true;
}
