/* mkdir PATH MODE PARENTS: makes a directory. With PARENTS it may exist, and missing ones above it are made, too. */
#include "builtins/builtins.h"
#include "builtins/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARENT_MODE 0755
/* What mkdir(2) does not set. */
#define SET_IDS (S_ISUID | S_ISGID)

static bool is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The last one is no parent. */
static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		/* What is there and no directory fails with what is made below it. */
		if (mkdir(path, PARENT_MODE) < 0 && errno != EEXIST)
			builtin_fail(errno, "mkdir(%s)", path);
		*slash = '/';
	}
}

/* For a directory that was made with mode 0700. It keeps the set-group-ID bit that it has from the one above. */
static void set_mode(const char *path, mode_t mode)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || fchmodat(fd, ".", mode | (status.st_mode & S_ISGID), 0) < 0)
		builtin_fail(errno, "chmod(%s)", path);
	(void)close(fd);
}

void builtin_mkdir(char **argv)
{
	char *path = argv[0];
	mode_t mode = builtin_number(argv[1], BUILTIN_MODES);
	bool parents = builtin_flag(argv[2]);
	bool needs_chmod = (mode & SET_IDS) != 0;

	/* The mode is what the host asks for. */
	(void)umask(0);
	/* Nothing follows a link that others have put in its place when there is no slash behind it. */
	(void)parent_cut_slashes(path);
	if (parents && path[0] != '\0')
		make_parents(path);
	if (mkdir(path, needs_chmod ? 0700 : mode) == 0) {
		if (needs_chmod)
			set_mode(path, mode);
	} else if (!(parents && errno == EEXIST && is_directory(path))) {
		builtin_fail(errno, "mkdir(%s)", path);
	}
}
