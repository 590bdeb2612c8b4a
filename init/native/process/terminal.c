#include "process/terminal.h"

#include "util/fd.h"
#include "util/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* <linux/tty.h> defines it, but cannot be included beside <termios.h>. */
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef IUTF8
#define IUTF8 0040000
#endif

int terminal_resize(int host_side, uint16_t rows, uint16_t columns)
{
	struct winsize size = {.ws_row = rows, .ws_col = columns};

	return ioctl(host_side, TIOCSWINSZ, &size);
}

/* Makes the terminal erase all bytes of a character. */
static void set_utf8(int fd)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) < 0)
		return;
	settings.c_iflag |= IUTF8;
	(void)tcsetattr(fd, TCSANOW, &settings);
}

/* Opens one in a new devpts that is mounted nowhere. */
static int open_unmounted_ptmx(void)
{
	int context = (int)syscall(SYS_fsopen, "devpts", FSOPEN_CLOEXEC);
	int mount = -1;
	int fd = -1;
	int error;

	if (context >= 0 && syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	if (mount >= 0)
		fd = openat(mount, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	error = errno;
	fd_close(&mount);
	fd_close(&context);
	errno = error;
	return fd;
}

int terminal_open(int *host_side, uint32_t owner, uint16_t rows, uint16_t columns, const char **step)
{
	int unlocked = 0;
	int application_side;
	int error;

	*step = "open(/dev/ptmx)";
	*host_side = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (*host_side < 0 && errno == ENOENT) {
		*step = "open(/dev/pts/ptmx)";
		*host_side = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	}
	/* /dev/pts is missing when a person inspects an early step of the start. */
	if (*host_side < 0 && platform() == PLATFORM_SESSION) {
		*step = "open(ptmx)";
		*host_side = open_unmounted_ptmx();
	}
	if (*host_side < 0)
		return -1;
	*step = "ioctl(TIOCSPTLCK)";
	if (ioctl(*host_side, TIOCSPTLCK, &unlocked) < 0)
		goto failed;
	/* By descriptor: the path of the other end depends on where devpts is mounted. */
	*step = "ioctl(TIOCGPTPEER)";
	application_side = ioctl(*host_side, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (application_side < 0)
		goto failed;
	/* The terminal belongs to its user. A failure only keeps the user from opening it again by name. */
	(void)!fchown(application_side, owner, (gid_t)-1);
	set_utf8(application_side);
	*step = "ioctl(TIOCSWINSZ)";
	if (terminal_resize(*host_side, rows, columns) == 0)
		return application_side;
	error = errno;
	fd_close(&application_side);
	errno = error;
failed:
	error = errno;
	fd_close(host_side);
	errno = error;
	return -1;
}
