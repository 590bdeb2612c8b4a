#include "boot/boot.h"

#include "boot/kernel_dirs.h"
#include "boot/modules.h"
#include "transport/line.h"
#include "transport/port.h"
#include "transport/protocol.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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
/* The limits that distributions set; the kernel's own is too low for some programs. */
#define SOFT_OPEN_FILES 1024
#define HARD_OPEN_FILES 524288

static const char *channel_path;
static uint64_t handshake_us = HANDSHAKE_US;

/*
 * Returns the argument's value, from "NAME=VALUE" or from the argument behind "NAME"; NULL if it is another argument.
 */
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

/* Runs twice: the log opens as the arguments say, and only then can it report an unknown argument. */
static void read_arguments(int argc, char **argv, bool report)
{
	for (int i = 1; i < argc; i++) {
		const char *value;

		if (strcmp(argv[i], "--debug") == 0) {
			log_enable_debug();
		} else if (strcmp(argv[i], "--unchecked-modules") == 0) {
			modules_leave_unchecked();
		} else if ((value = option_value(argc, argv, &i, "--console")) != NULL) {
			platform_set(PLATFORM_CONTAINER);
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
	/* EBUSY: the kernel has mounted it. */
	if (mount(type, target, type, flags, NULL) < 0 && errno != EBUSY)
		log_line("mount(%s, %s): %s", type, target, strerror(errno));
}

static void prepare_machine(void)
{
	const struct rlimit files = {.rlim_cur = SOFT_OPEN_FILES, .rlim_max = HARD_OPEN_FILES};

	mount_here("devtmpfs", "/dev", MS_NOSUID);
	fd_fill_standard();
	log_open(CONSOLE);
	mount_here("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
	mount_here("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC);
	kernel_dirs_keep();
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_line("setrlimit(RLIMIT_NOFILE): %s", strerror(errno));
	/* Ctrl+Alt+Del sends SIGINT instead, and so ends the machine in order. */
	if (reboot(RB_DISABLE_CAD) < 0)
		log_line("reboot(RB_DISABLE_CAD): %s", strerror(errno));
}

static void prepare_container(void)
{
	fd_fill_standard();
	if (channel_path == NULL)
		channel_path = CONSOLE;
	/* On a single console the host would take every line of the log for a packet. */
	log_open(strcmp(channel_path, CONSOLE) == 0 ? NULL : CONSOLE);
}

static void prepare_test(void)
{
	fd_fill_standard();
	log_open(NULL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_line("prctl(PR_SET_CHILD_SUBREAPER): %s", strerror(errno));
}

void boot_prepare(int argc, char **argv)
{
	if (platform() == PLATFORM_MACHINE && getenv("container") != NULL)
		platform_set(PLATFORM_CONTAINER);
	read_arguments(argc, argv, false);
	(void)umask(0); /* the host decides every mode */
	switch (platform()) {
	case PLATFORM_MACHINE:
		prepare_machine();
		break;
	case PLATFORM_CONTAINER:
		prepare_container();
		break;
	case PLATFORM_TEST:
		prepare_test();
		break;
	case PLATFORM_SESSION:
		break;
	}
	read_arguments(argc, argv, true);
}

void boot_prepare_session(void)
{
	platform_set(PLATFORM_SESSION);
	fd_fill_standard();
	log_open(CONSOLE);
	(void)umask(0);
}

static int open_machine_channel(void)
{
	/* Listen before modules load, so that no event of theirs is missed. */
	port_listen();
	modules_load();
	return port_find(VS_CHANNEL_NAME) ? line_open(AT_FDCWD, port_device()) : -1;
}

static int open_test_channel(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (channel_path == NULL || strlen(channel_path) >= sizeof(address.sun_path) || fd < 0) {
		log_line("--channel-unix PATH is needed");
		return -1;
	}
	memcpy(address.sun_path, channel_path, strlen(channel_path));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		log_line("connect(%s): %s", channel_path, strerror(errno));
		fd_close(&fd);
	}
	return fd;
}

int boot_open_channel(void)
{
	switch (platform()) {
	case PLATFORM_CONTAINER:
		return line_open(AT_FDCWD, channel_path);
	case PLATFORM_TEST:
		return open_test_channel();
	default:
		return open_machine_channel();
	}
}

bool boot_can_splice(void)
{
	/* A test's socket can, so tests run the same code. A container's terminal would copy. */
	return platform() == PLATFORM_TEST || (platform() == PLATFORM_MACHINE && port_can_splice());
}

uint64_t boot_handshake_us(void)
{
	return handshake_us;
}
