#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's linux/landlock.h, whose older versions lack most of this. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_DIR (1ULL << 4)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_CHAR (1ULL << 6)
#define FS_MAKE_DIR (1ULL << 7)
#define FS_MAKE_REG (1ULL << 8)
#define FS_MAKE_SOCK (1ULL << 9)
#define FS_MAKE_FIFO (1ULL << 10)
#define FS_MAKE_BLOCK (1ULL << 11)
#define FS_MAKE_SYM (1ULL << 12)
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define FS_RESOLVE_UNIX (1ULL << 16)

#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)

#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

/* Versions that brought something. Before REFER no file could be renamed into another directory. */
#define SINCE_REFER 2
#define SINCE_TRUNCATE 3
#define SINCE_NET 4
#define SINCE_IOCTL_DEV 5
#define SINCE_SCOPE 6
#define SINCE_RESOLVE_UNIX 9

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

#define READING (FS_READ_FILE | FS_READ_DIR)
/* QEMU is executed once more, and its filter of system calls forbids it to execute anything. So that is no right. */
#define CHANGING                                                                                                    \
	(FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO | \
	 FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)
#define DEVICES (FS_MAKE_CHAR | FS_MAKE_BLOCK)
/* The rights that a rule for a file may have. */
#define OF_FILES (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

int landlock_version(void)
{
	long version = syscall(CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

	return version < SINCE_REFER ? 0 : (int)version;
}

/* How much of struct ruleset a version knows. */
static size_t ruleset_size(int version)
{
	if (version >= SINCE_SCOPE)
		return sizeof(struct ruleset);
	return version >= SINCE_NET ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

int landlock_create(struct landlock *wall, const struct landlock_walls *walls)
{
	struct ruleset ruleset = {.fs = CHANGING | DEVICES};
	int version = wall->version;

	if (walls->reads)
		ruleset.fs |= READING;
	if (version < SINCE_TRUNCATE)
		ruleset.fs &= ~FS_TRUNCATE;
	if (version >= SINCE_IOCTL_DEV)
		ruleset.fs |= FS_IOCTL_DEV;
	if (version >= SINCE_RESOLVE_UNIX)
		ruleset.fs |= FS_RESOLVE_UNIX;
	if (version >= SINCE_NET && walls->network)
		ruleset.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (version >= SINCE_SCOPE)
		ruleset.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
	wall->handled = ruleset.fs;
	wall->ruleset = (int)syscall(CREATE_RULESET, &ruleset, ruleset_size(version), 0);
	return wall->ruleset < 0 ? -1 : fcntl(wall->ruleset, F_SETFD, FD_CLOEXEC);
}

static uint64_t rights(enum access access)
{
	switch (access) {
	case ACCESS_READ:
		return READING;
	case ACCESS_WRITE:
		return READING | CHANGING;
	case ACCESS_READ_DEVICE:
		return READING | FS_IOCTL_DEV;
	case ACCESS_DEVICE:
		return READING | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
	}
	return 0;
}

int landlock_allow(const struct landlock *wall, int path, enum access access)
{
	struct path_rule rule = {.allowed = rights(access) & wall->handled, .parent = path};
	struct stat info;

	if (fstat(path, &info) != 0)
		return -1;
	if (!S_ISDIR(info.st_mode))
		rule.allowed &= OF_FILES;
	/* The kernel refuses a rule that allows nothing. */
	if (rule.allowed == 0)
		return 0;
	return (int)syscall(ADD_RULE, wall->ruleset, RULE_PATH_BENEATH, &rule, 0);
}

int landlock_allow_path(const struct landlock *wall, const char *path, enum access access)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	/* What cannot be found now needs no rule. If QEMU looks for it, its message names it. */
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP ? 0 : -1;

	int result = landlock_allow(wall, fd, access);
	int error = errno;

	(void)close(fd);
	errno = error;
	return result;
}

int landlock_enter(const struct landlock *wall)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(RESTRICT_SELF, wall->ruleset, 0);
}
