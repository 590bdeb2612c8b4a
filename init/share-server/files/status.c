#include "files/status.h"

#include "files/table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static_assert(offsetof(struct status, target) == 256, "what is before it is the kernel's");

/* FNV-1a, of 64 bits. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

/* 0, or -1: it is no link any more, or has gone. */
static int ask_target(int directory, const char *name, uint64_t *hash)
{
	char target[PATH_MAX];
	const ssize_t length = readlinkat(directory, name, target, sizeof(target));

	if (length < 0 && (errno == EINVAL || errno == ENOENT)) {
		errno = ESTALE;
		return -1;
	}
	*hash = HASH_START;
	/* One that cannot be read is never kept by the guest. */
	for (ssize_t at = 0; at < length; at += 1)
		*hash = (*hash ^ (uint8_t)target[at]) * HASH_PRIME;
	return 0;
}

static int ask(int directory, const char *name, int flags, struct status *status)
{
	const unsigned int wanted = STATX_BASIC_STATS | STATUS_BIRTH | STATUS_MOUNT;

	status->target = 0;
	if (syscall(SYS_statx, directory, name, flags, wanted, status) != 0)
		return -1;
	return S_ISLNK(status->stx_mode) ? ask_target(directory, name, &status->target) : 0;
}

int status_of_descriptor(int descriptor, struct status *status)
{
	return ask(descriptor, "", AT_EMPTY_PATH, status);
}

int status_of_name(int directory, const char *name, struct status *status)
{
	return ask(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, status);
}
