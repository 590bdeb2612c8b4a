#include "container.h"

#include "owner.h"
#include "timing.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libvirt's directory for containers, a constant in its source. */
#define RUN_DIRECTORY "/run/libvirt/lxc"

#define FLAG "container"

/* How often to look whether libvirt has forgotten it, in milliseconds. */
#define LOOK_MS 20

static bool file_of(const char *name, const char *suffix, char path[PATH_MAX])
{
	return (size_t)snprintf(path, PATH_MAX, RUN_DIRECTORY "/%s.%s", name, suffix) < PATH_MAX;
}

/* libvirt removes these two itself. */
static bool is_known(const char *name)
{
	char path[PATH_MAX];

	return (file_of(name, "xml", path) && access(path, F_OK) == 0) ||
	       (file_of(name, "pid", path) && access(path, F_OK) == 0);
}

void container_remove(const char *directory, int state)
{
	static const char *const mounts[] = {"dev", "devpts", "fuse"};
	const char *name = strrchr(directory, '/') + 1;
	long long deadline = now_ms() + CONTAINER_MS;
	char path[PATH_MAX];

	struct stat info;

	if (fstatat(state, FLAG, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return;
	while (is_known(name)) {
		if (now_ms() >= deadline)
			return;
		(void)poll(NULL, 0, LOOK_MS);
	}
	/* The name may be another container's by now. */
	if (!state_is(directory, state))
		return;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++)
		if (file_of(name, mounts[i], path))
			(void)rmdir(path);
	if (file_of(name, "sock", path))
		(void)unlink(path);
}
