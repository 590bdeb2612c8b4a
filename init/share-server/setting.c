#include "setting.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

unsigned long setting_read(const char *path, unsigned long otherwise)
{
	char text[24];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? strtoul(text, NULL, 10) : otherwise;
}
