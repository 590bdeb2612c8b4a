#include "tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OPEN 16

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)info;
	(void)where;
	int result = type == FTW_DP ? rmdir(path) : unlink(path);

	/* Another process may be removing the same tree. */
	return result != 0 && errno != ENOENT ? -1 : 0;
}

/* Restores our rights to directories, which programs in the sandbox may have taken away. */
static int open_up(const char *path, const struct stat *info, int type, struct FTW *where)
{
	(void)where;
	if (type != FTW_D && type != FTW_DNR)
		return 0;
	if ((info->st_mode & S_IRWXU) == S_IRWXU || chmod(path, S_IRWXU) != 0)
		return 0;
	/* The directory could not be read when it was reached. */
	return type == FTW_DNR ? nftw(path, open_up, MAX_OPEN, FTW_MOUNT | FTW_PHYS) : 0;
}

int tree_remove(const char *path)
{
	if (nftw(path, remove_one, MAX_OPEN, FTW_DEPTH | FTW_MOUNT | FTW_PHYS) == 0)
		return 0;
	if (nftw(path, open_up, MAX_OPEN, FTW_MOUNT | FTW_PHYS) == 0 &&
	    nftw(path, remove_one, MAX_OPEN, FTW_DEPTH | FTW_MOUNT | FTW_PHYS) == 0)
		return 0;
	return errno == ENOENT ? 0 : -1;
}
