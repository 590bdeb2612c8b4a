#include "freezer.h"

#include "process.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where systemd, and others as it, mount the freezer of version 1. */
#define MOUNT "/sys/fs/cgroup/freezer"
/* Before the name of the group, in a line of /proc/PID/cgroup. */
#define CONTROLLER ":freezer:"
#define GROUPS_BYTES 8192

int freezer_open(pid_t pid)
{
	char groups[GROUPS_BYTES];
	char path[PATH_MAX];
	char *save;

	groups[process_file(pid, "cgroup", groups, sizeof(groups) - 1)] = '\0';
	char *name = strstr(groups, CONTROLLER);

	if (name == NULL)
		return -1;
	name = strtok_r(name + strlen(CONTROLLER), "\n", &save);
	/* One outside of this process's namespace has another name here. The highest one has no such file. */
	if (name == NULL || strstr(name, "/..") != NULL ||
	    (size_t)snprintf(path, sizeof(path), MOUNT "%s/freezer.state", name) >= sizeof(path))
		return -1;
	return open(path, O_WRONLY | O_CLOEXEC);
}

void freezer_thaw(int fd)
{
	if (fd < 0)
		return;
	(void)!write(fd, "THAWED", strlen("THAWED"));
	(void)close(fd);
}
