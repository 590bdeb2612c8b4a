#include "control.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool control_read(struct control *control, int fd)
{
	for (;;) {
		size_t room = sizeof(control->text) - control->length;
		ssize_t n = room > 0 ? read(fd, control->text + control->length, room) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		control->length += (size_t)n;
		return true;
	}
}

bool control_next(struct control *control, char *line)
{
	char *end = memchr(control->text, '\n', control->length);

	if (end == NULL)
		return false;
	size_t length = (size_t)(end - control->text);

	memcpy(line, control->text, length);
	line[length] = '\0';
	control->length -= length + 1;
	memmove(control->text, end + 1, control->length);
	return true;
}

bool control_is(const char *word, const char *line, pid_t *pid, const char **argument)
{
	size_t length = strlen(word);
	char *behind;
	long number;

	if (strncmp(line, word, length) != 0 || line[length] != ' ')
		return false;
	number = strtol(line + length + 1, &behind, 10);
	/* A larger number would be cut to that of another process. */
	*pid = *behind == ' ' && number > 0 && number <= INT_MAX ? (pid_t)number : 0;
	*argument = *behind == ' ' ? behind + 1 : behind;
	return true;
}
