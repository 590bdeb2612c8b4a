#include "builtins/entry.h"

#include "builtins/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void entry_put(const char *name, const struct stat *status, const char *target, size_t target_size)
{
	record_begin();
	record_text(name, strlen(name));
	record_u32(status->st_mode);
	record_u32(status->st_uid);
	record_u32(status->st_gid);
	record_u64((uint64_t)status->st_size);
	record_u64((uint64_t)status->st_mtim.tv_sec);
	record_u32((uint32_t)status->st_mtim.tv_nsec);
	record_text(target, target_size);
	record_end();
}

int entry_write(int directory, const char *path, const char *name, bool follow)
{
	char target[PATH_MAX];
	ssize_t target_size = 0;
	struct stat status;

	if (fstatat(directory, path, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	/* It may have become another file since. */
	if (S_ISLNK(status.st_mode) && (target_size = readlinkat(directory, path, target, sizeof(target))) < 0) {
		if (errno != EINVAL)
			return -1;
		target_size = 0;
	}
	entry_put(name, &status, target, (size_t)target_size);
	return 0;
}

void entry_write_unknown(const char *name)
{
	const struct stat nothing = {0};

	entry_put(name, &nothing, "", 0);
}
