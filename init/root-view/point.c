#include "point.h"

#include "namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own: has a copy of all mounts, and takes the view out of the copy and the point from the host. */
static int remove_elsewhere(const char *point)
{
	if (enter_own_mounts(0) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return 1;
	while (umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		continue;
	return rmdir(point) == 0 || errno == ENOENT ? 0 : 1;
}

/*
 * A QEMU may still have the view open. Unmounting it here would take the mounts in it apart, and uncover what they
 * cover. Where a mount point is removed in another mount namespace, they stay together.
 */
void point_remove(const char *point)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(remove_elsewhere(point));
	if (pid > 0) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
}

void point_remove_stale(const char *point)
{
	char path[PATH_MAX];
	const char *own = strrchr(point, '/');
	int length = (int)(own - point);
	DIR *points;

	if ((size_t)snprintf(path, sizeof(path), "%.*s", length, point) >= sizeof(path))
		return;
	points = opendir(path);
	for (struct dirent *entry; points != NULL && (entry = readdir(points)) != NULL;) {
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, own + 1) == 0)
			continue;
		/* The state directories are beside the directory of the points. */
		if ((size_t)snprintf(path, sizeof(path), "%.*s/../%s", length, point, entry->d_name) >= sizeof(path) ||
		    access(path, F_OK) == 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%.*s/%s", length, point, entry->d_name) < sizeof(path))
			point_remove(path);
	}
	if (points != NULL)
		(void)closedir(points);
}

int point_make(const char *path)
{
	char parent[PATH_MAX];
	const char *name = strrchr(path, '/');

	if (name == NULL ||
	    (size_t)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path) >= sizeof(parent))
		return -1;
	if (mkdir(parent, 0711) != 0 && errno != EEXIST)
		return -1;
	return mkdir(path, 0711) == 0 || errno == EEXIST ? 0 : -1;
}
