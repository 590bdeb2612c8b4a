/*
 * watch-screen PATH: writes a record with the content of PATH, which is what a connector of a card says of the screen that
 * is wanted, and another one after each change of a card that the kernel tells, until stdin ends. Of changes that come
 * together the last one counts.
 */
#include "builtins/builtins.h"
#include "builtins/output.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The group in which the kernel itself tells events. */
#define KERNEL_GROUP 1
/* The kernel has no longer ones. */
#define EVENT_BYTES 8192
/* So many are taken before stdin is looked at again. */
#define EVENTS_PER_TURN 64
/* EDID with fifteen extensions. A card of QEMU has one or two. */
#define CONTENT_BYTES 2048
#define PAUSE_MICROSECONDS (100 * MICROSECONDS_PER_MILLISECOND)

static int open_events(void)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		builtin_fail(errno, "listening to the kernel");
	return fd;
}

/* An event is a line, and then variables, each with its NUL. */
static bool is_of_card(const char *event, size_t size)
{
	for (size_t at = 0; at < size; at += strlen(event + at) + 1) {
		if (strcmp(event + at, "SUBSYSTEM=drm") == 0)
			return true;
	}
	return false;
}

/* Takes what is there. Whether a card may have changed. */
static bool take_events(int events)
{
	static char event[EVENT_BYTES + 1];
	bool has_changed = false;

	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		ssize_t size = recv(events, event, EVENT_BYTES, 0);

		if (size < 0 && errno == EAGAIN)
			break;
		/* Events were lost. */
		if (size < 0 && errno == ENOBUFS)
			has_changed = true;
		else if (size < 0 && errno != EINTR)
			builtin_fail(errno, "recv");
		else if (size > 0) {
			event[size] = '\0';
			has_changed = has_changed || is_of_card(event, (size_t)size);
		}
	}
	return has_changed;
}

static void tell(const char *path)
{
	char content[CONTENT_BYTES];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof(content));

	if (size < 0)
		builtin_fail(errno, "read(%s)", path);
	(void)close(fd);
	record_begin();
	record_text(content, (size_t)size);
	record_end();
	output_flush();
}

/* Whether stdin has ended. */
static bool has_ended(void)
{
	char ignored[64];
	ssize_t size = read(STDIN_FILENO, ignored, sizeof(ignored));

	return size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN);
}

void builtin_watch_screen(char **argv)
{
	struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = open_events(), .events = POLLIN}};
	bool has_changed = true;
	uint64_t due = 0;

	for (;;) {
		if (has_changed && clock_now() >= due) {
			has_changed = false;
			tell(argv[0]);
			due = clock_now() + PAUSE_MICROSECONDS;
		}
		if (poll(polled, 2, has_changed ? clock_poll_timeout(due) : -1) < 0 && errno != EINTR)
			builtin_fail(errno, "poll");
		if (polled[0].revents != 0 && has_ended())
			return;
		if (polled[1].revents != 0 && take_events(polled[1].fd))
			has_changed = true;
	}
}
