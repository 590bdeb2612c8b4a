#include "files/status.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static_assert(sizeof(struct status) == 256, "it is the kernel's");

static int ask(int directory, const char *name, int flags, struct status *status)
{
	const unsigned int wanted = STATX_BASIC_STATS | STATUS_BIRTH | STATUS_MOUNT;

	return (int)syscall(SYS_statx, directory, name, flags, wanted, status);
}

int status_of_descriptor(int descriptor, struct status *status)
{
	return ask(descriptor, "", AT_EMPTY_PATH, status);
}

int status_of_name(int directory, const char *name, struct status *status)
{
	return ask(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, status);
}
