#include "control.h"

#include <errno.h>
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
