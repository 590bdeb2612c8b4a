#include "builtins/make_directory.h"

#include "builtins/component.h"
#include "builtins/unfinished.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Also when it cannot be read, since this user may read what it has made. */
static bool has_entries(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (list == NULL)
		return true;
	do
		entry = readdir(list);
	while (entry != NULL && component_is_dots(entry->d_name));
	(void)closedir(list);
	return entry != NULL;
}

/* Whose is what this user makes there? A file system may give all files to another one. */
static bool makes_files_of(int directory, uid_t uid)
{
	struct stat found;
	int fd;

	if (uid == geteuid())
		return true;
	fd = unfinished_open(directory);
	if (fd < 0)
		return false;
	if (fstat(fd, &found) < 0)
		found.st_uid = ~uid;
	(void)close(fd);
	unfinished_remove();
	return found.st_uid == uid;
}

int make_directory(int above, const char *name, bool *is_made)
{
	struct stat found;
	int fd;

	*is_made = mkdirat(above, name, 0700) == 0;
	if (!*is_made && errno != EEXIST)
		return -1;
	fd = openat(above, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || !*is_made)
		return fd;
	if (fstat(fd, &found) < 0 || !makes_files_of(above, found.st_uid)) {
		(void)close(fd);
		errno = ESTALE;
		return -1;
	}
	/* Another copy may work there already, or it is another directory of this user. */
	*is_made = !has_entries(fd);
	return fd;
}
