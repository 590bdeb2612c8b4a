#include "place.h"

#include "filesystems.h"
#include "log.h"
#include "modules.h"
#include "port.h"
#include "protocol.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HANDSHAKE_US (120 * (uint64_t)MICROSECONDS_PER_SECOND)
#define CONSOLE "/dev/console"
/* What distributions give; the kernel's own limit is too low for some programs. */
#define SOFT_OPEN_FILES 1024
#define HARD_OPEN_FILES 524288

static enum place where = TEST_BUILD ? PLACE_TEST : PLACE_MACHINE;
static const char *channel_path;
static uint64_t handshake_us = HANDSHAKE_US;

enum place place(void)
{
	return where;
}

/* The argument's value, from "NAME=VALUE" or from the argument behind "NAME"; NULL where it is another argument. */
static const char *option_value(int argc, char **argv, int *index, const char *name)
{
	size_t size = strlen(name);
	const char *argument = argv[*index];

	if (strncmp(argument, name, size) != 0)
		return NULL;
	if (argument[size] == '=')
		return argument + size + 1;
	if (argument[size] != '\0' || *index + 1 >= argc)
		return NULL;
	(*index)++;
	return argv[*index];
}

static bool test_option(int argc, char **argv, int *index)
{
	const char *value;

	if (!TEST_BUILD)
		return false;
	value = option_value(argc, argv, index, "--channel-unix");
	if (value != NULL) {
		channel_path = value;
		return true;
	}
	value = option_value(argc, argv, index, "--handshake-ms");
	if (value == NULL)
		return false;
	handshake_us = strtoull(value, NULL, 10) * MICROSECONDS_PER_MILLISECOND;
	return true;
}

/* Two passes: the log can say something about an argument only after it was opened as the arguments want it. */
static void read_arguments(int argc, char **argv, bool report)
{
	for (int i = 1; i < argc; i++) {
		const char *value;

		if (strcmp(argv[i], "--debug") == 0) {
			log_enable_debug();
		} else if (strcmp(argv[i], "--unchecked-modules") == 0) {
			modules_leave_unchecked();
		} else if ((value = option_value(argc, argv, &i, "--console")) != NULL) {
			where = PLACE_CONTAINER;
			channel_path = value;
		} else if (!test_option(argc, argv, &i) && report) {
			log_line("argument %s is not known; ignored", argv[i]);
		}
	}
}

static void mount_here(const char *type, const char *target, unsigned long flags)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		log_line("mkdir(%s): %s", target, strerror(errno));
	/* EBUSY: the kernel has done it. */
	if (mount(type, target, type, flags, NULL) < 0 && errno != EBUSY)
		log_line("mount(%s, %s): %s", type, target, strerror(errno));
}

/* Descriptors 0 to 2 are never free, so that nothing else ends up there and is taken for a standard stream. */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR); /* no O_CLOEXEC: every child replaces them */
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(&fd);
}

static void prepare_machine(void)
{
	const struct rlimit files = {.rlim_cur = SOFT_OPEN_FILES, .rlim_max = HARD_OPEN_FILES};

	mount_here("devtmpfs", "/dev", MS_NOSUID);
	fill_standard_descriptors();
	log_open(CONSOLE);
	mount_here("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
	mount_here("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC);
	filesystems_keep();
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_line("setrlimit(RLIMIT_NOFILE): %s", strerror(errno));
	/* Ctrl+Alt+Del becomes SIGINT, and so an orderly end. */
	if (reboot(RB_DISABLE_CAD) < 0)
		log_line("reboot(RB_DISABLE_CAD): %s", strerror(errno));
}

void place_prepare(int argc, char **argv)
{
	if (where == PLACE_MACHINE && getenv("container") != NULL)
		where = PLACE_CONTAINER;
	read_arguments(argc, argv, false);
	(void)umask(0); /* modes are what the host says */
	switch (where) {
	case PLACE_MACHINE:
		prepare_machine();
		break;
	case PLACE_CONTAINER:
		fill_standard_descriptors();
		if (channel_path == NULL)
			channel_path = CONSOLE;
		/* With a single console every line would be taken for a packet. */
		log_open(strcmp(channel_path, CONSOLE) == 0 ? NULL : CONSOLE);
		break;
	case PLACE_TEST:
		fill_standard_descriptors();
		log_open(NULL);
		if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
			log_line("prctl(PR_SET_CHILD_SUBREAPER): %s", strerror(errno));
		break;
	case PLACE_SESSION:
		break;
	}
	read_arguments(argc, argv, true);
}

void place_prepare_session(void)
{
	where = PLACE_SESSION;
	fill_standard_descriptors();
	log_open(CONSOLE);
	(void)umask(0);
}

int place_open_line(int directory, const char *path)
{
	int fd = openat(directory, path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		log_line("open(%s): %s", path, strerror(errno));
		return -1;
	}
	if (isatty(fd) == 0)
		return fd;
	if (terminal_make_raw(fd) < 0) {
		log_line("tcsetattr(%s): %s", path, strerror(errno));
		close_fd(&fd);
	} else if (ioctl(fd, TIOCEXCL) < 0) {
		/* An application that is root without capabilities must not open it too. */
		log_line("ioctl(%s, TIOCEXCL): %s", path, strerror(errno));
		close_fd(&fd);
	}
	return fd;
}

static int open_test_channel(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (channel_path == NULL || strlen(channel_path) >= sizeof address.sun_path || fd < 0) {
		log_line("--channel-unix PATH is needed");
		return -1;
	}
	memcpy(address.sun_path, channel_path, strlen(channel_path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		log_line("connect(%s): %s", channel_path, strerror(errno));
		close_fd(&fd);
	}
	return fd;
}

int place_open_channel(void)
{
	switch (where) {
	case PLACE_CONTAINER:
		return place_open_line(AT_FDCWD, channel_path);
	case PLACE_TEST:
		return open_test_channel();
	default:
		break;
	}
	/* Before the modules, so that no event of theirs is missed. */
	port_listen();
	modules_load();
	return port_find(VS_CHANNEL_NAME) ? place_open_line(AT_FDCWD, port_device()) : -1;
}

bool place_can_splice(void)
{
	/* A socket does, which gives tests the same code; a terminal would copy. */
	return where == PLACE_TEST || (where == PLACE_MACHINE && port_can_splice());
}

uint64_t place_handshake_us(void)
{
	return handshake_us;
}

_Noreturn void place_leave(void)
{
	log_drain();
	if (where == PLACE_MACHINE) {
		(void)reboot(RB_POWER_OFF);
		log_line("reboot(RB_POWER_OFF): %s", strerror(errno));
		log_drain();
		/* A machine that cannot be switched off is restarted, and its host takes that for the end. */
		(void)reboot(RB_AUTOBOOT);
	}
	_exit(0);
}
