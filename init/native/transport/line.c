#include "transport/line.h"

#include "util/fd.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* No echo, no line editing, no flow control, no translation. */
static int make_raw(int fd)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) < 0)
		return -1;
	cfmakeraw(&settings);
	settings.c_cc[VMIN] = 1;
	settings.c_cc[VTIME] = 0;
	return tcsetattr(fd, TCSANOW, &settings);
}

int line_open(int directory, const char *path)
{
	int fd = openat(directory, path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		log_line("open(%s): %s", path, strerror(errno));
		return -1;
	}
	if (isatty(fd) == 0)
		return fd;
	if (make_raw(fd) < 0) {
		log_line("tcsetattr(%s): %s", path, strerror(errno));
		fd_close(&fd);
	} else if (ioctl(fd, TIOCEXCL) < 0) {
		/* An application that is root without capabilities must not open it too. */
		log_line("ioctl(%s, TIOCEXCL): %s", path, strerror(errno));
		fd_close(&fd);
	}
	return fd;
}
