#include "transport/port.h"

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"
#define WAIT_US (10 * MICROSECONDS_PER_SECOND)
/* A wait is logged only when a person would notice it. */
#define QUIET_US (1 * MICROSECONDS_PER_SECOND)
#define KERNEL_EVENTS 1
/* The pause between looks where no events can be received. */
#define LOOK_MS 20

/*
 * VIRTIO_RING_F_INDIRECT_DESC: a list of pages takes one place in the queue, so there is a place whenever the port is
 * writable.
 */
#define INDIRECT_FEATURE 28

static int event_fd = -1;
static bool indirect;
/* Path of the found port's device. */
static char node[300];

void port_listen(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_EVENTS};

	event_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (event_fd >= 0 && bind(event_fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fd_close(&event_fd);
	if (event_fd < 0)
		log_line("socket(NETLINK_KOBJECT_UEVENT): %s; polling instead", strerror(errno));
}

/* Reads a line of sysfs about a port; empty if there is none. */
static void read_attribute(const char *port, const char *attribute, char *text, size_t size)
{
	char path[512];
	ssize_t count = -1;
	int fd;

	(void)snprintf(path, sizeof(path), PORTS "/%s/%s", port, attribute);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		count = read(fd, text, size - 1);
	fd_close(&fd);
	text[count > 0 ? count : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/* Also records what the port's device can do. */
static bool is_named(const char *port, const char *name)
{
	char text[128];

	/* The kernel adds the name a moment after the port, with an event of its own. */
	read_attribute(port, "name", text, sizeof(text));
	if (strcmp(text, name) != 0)
		return false;
	read_attribute(port, "device/features", text, sizeof(text));
	indirect = strlen(text) > INDIRECT_FEATURE && text[INDIRECT_FEATURE] == '1';
	return true;
}

/* False if there is no such port yet. */
static bool find_node(const char *name)
{
	DIR *ports = opendir(PORTS);
	const struct dirent *entry;
	bool found = false;

	if (ports == NULL)
		return false;
	while (!found && (entry = readdir(ports)) != NULL) {
		if (entry->d_name[0] != '.' && is_named(entry->d_name, name))
			found = (size_t)snprintf(node, sizeof(node), "/dev/%s", entry->d_name) < sizeof(node);
	}
	(void)closedir(ports);
	return found;
}

static void wait_for_event(uint64_t until)
{
	struct pollfd wait = {.fd = event_fd, .events = POLLIN};
	char event[4096];
	int timeout = clock_poll_timeout(until);

	if (event_fd < 0 && timeout > LOOK_MS)
		timeout = LOOK_MS;
	(void)poll(&wait, 1, timeout);
	/* Every event, and ENOBUFS (events were lost), means: look again. */
	while (event_fd >= 0 && recv(event_fd, event, sizeof(event), 0) > 0)
		continue;
}

bool port_find(const char *name)
{
	uint64_t start = clock_now();
	uint64_t deadline = start + WAIT_US;
	uint64_t quiet = start + QUIET_US;

	while (!find_node(name)) {
		uint64_t now = clock_now();

		if (now >= deadline) {
			log_line("no virtio-serial port named %s after %d s: %s", name,
				 WAIT_US / MICROSECONDS_PER_SECOND,
				 access(PORTS, F_OK) == 0 ? "the machine has none of that name"
							  : "the kernel has no driver for it");
			fd_close(&event_fd);
			return false;
		}
		if (quiet != UINT64_MAX && now >= quiet) {
			log_line("waiting for the virtio-serial port %s", name);
			quiet = UINT64_MAX;
		}
		wait_for_event(quiet < deadline ? quiet : deadline);
	}
	fd_close(&event_fd);
	log_debug("%s is %s", name, node);
	return true;
}

const char *port_device(void)
{
	return node;
}

bool port_can_splice(void)
{
	return indirect;
}
