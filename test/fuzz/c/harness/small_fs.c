#include "harness/small_fs.h"

#include "harness/check.h"
#include "harness/small_fs_nodes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

REPLACE(int, mkdirat, (int fd, const char *name, mode_t mode));
int __wrap_mkdirat(int fd, const char *name, mode_t mode)
{
	if (!fs_is_on)
		return __real_mkdirat(fd, name, mode);
	if (strcmp(name, ".") == 0)
		return fs_fail(EEXIST);
	if (fs_make_entry(fd, name, S_IFDIR) < 0)
		return -1;
	check(mode == 0700, "nobody enters what is not ready");
	fs_exchange(fd, name);
	return 0;
}

REPLACE(int, symlinkat, (const char *target, int fd, const char *name));
int __wrap_symlinkat(const char *target, int fd, const char *name)
{
	if (!fs_is_on)
		return __real_symlinkat(target, fd, name);
	return fs_make_entry(fd, name, S_IFLNK) < 0 ? -1 : 0;
}

REPLACE(int, mkfifoat, (int fd, const char *name, mode_t mode));
int __wrap_mkfifoat(int fd, const char *name, mode_t mode)
{
	if (!fs_is_on)
		return __real_mkfifoat(fd, name, mode);
	return fs_make_entry(fd, name, S_IFIFO) < 0 ? -1 : 0;
}

int __real_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...)
{
	struct fs_entry *entry;
	int node;

	check(fs_is_on, "the fuzzer itself opens nothing so");
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		node = name[1] == '\0' ? fs_node_of(fd) : fs_nodes[fs_node_of(fd)].above;
		return fs_new_fd(node);
	}
	check((flags & O_NOFOLLOW) != 0, "no link is followed");
	if ((flags & O_CREAT) != 0) {
		node = fs_make_entry(fd, name, S_IFREG);
		return node < 0 ? -1 : fs_new_fd(node);
	}
	fs_check_name(name);
	entry = fs_find(fs_node_of(fd), name);
	if (entry == NULL)
		return fs_fail(ENOENT);
	if (fs_nodes[entry->node].type == S_IFLNK)
		return fs_fail(ELOOP);
	if ((flags & O_DIRECTORY) != 0 && fs_nodes[entry->node].type != S_IFDIR)
		return fs_fail(ENOTDIR);
	return fs_new_fd(entry->node);
}

REPLACE(int, linkat, (int from, const char *old, int to, const char *name, int flags));
int __wrap_linkat(int from, const char *old, int to, const char *name, int flags)
{
	if (!fs_is_on)
		return __real_linkat(from, old, to, name, flags);
	struct fs_entry *entry;
	int directory;

	fs_check_name(old);
	check(flags == 0, "no link is followed");
	/* Others put a file of their own there. */
	entry = fs_find(fs_node_of(from), old);
	if (entry != NULL && fs_event() >= 224)
		entry->node = fs_new_node(S_IFREG, FS_OTHER, entry->directory);
	if (entry != NULL && entry->node < 0)
		fs_remove_entry(entry);
	directory = fs_check_making(to, name);
	entry = fs_find(fs_node_of(from), old);
	if (directory < 0 || entry == NULL)
		return directory < 0 ? -1 : fs_fail(ENOENT);
	fs_add_entry(directory, entry->node, name);
	return 0;
}

REPLACE(int, renameat, (int from, const char *old, int to, const char *name));
int __wrap_renameat(int from, const char *old, int to, const char *name)
{
	if (!fs_is_on)
		return __real_renameat(from, old, to, name);
	struct fs_entry *entry = fs_find(fs_node_of(from), old);
	struct fs_entry *there = fs_find(fs_node_of(to), name);

	fs_check_name(old);
	fs_check_name(name);
	check(from == to && entry != NULL && entry->is_unfinished, "only what is unfinished gets a name");
	check(fs_nodes[entry->node].owner == FS_ME, "nothing of another one gets a name");
	if (fs_fails())
		return -1;
	if (there != NULL && fs_nodes[there->node].type == S_IFDIR)
		return fs_fail(EISDIR);
	if (there != NULL && there->node == entry->node)
		return 0;
	if (there != NULL) {
		there->node = entry->node;
		there->is_unfinished = false;
		fs_remove_entry(entry);
	} else {
		entry->is_unfinished = false;
		(void)snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	return 0;
}

REPLACE(int, unlinkat, (int fd, const char *name, int flags));
int __wrap_unlinkat(int fd, const char *name, int flags)
{
	if (!fs_is_on)
		return __real_unlinkat(fd, name, flags);
	struct fs_entry *entry = fs_find(fs_node_of(fd), name);

	fs_check_name(name);
	if (entry == NULL)
		return fs_fail(ENOENT);
	check(flags == 0 && entry->is_unfinished, "only what is unfinished is removed");
	fs_remove_entry(entry);
	return 0;
}

static int describe(int node, struct stat *found)
{
	memset(found, 0, sizeof(*found));
	found->st_mode = fs_nodes[node].type | 0600;
	found->st_ino = (ino_t)node + 1;
	/* The owner of the place is this process's user. */
	found->st_uid = fs_nodes[node].owner == FS_ME ? geteuid() : geteuid() + 1;
	return 0;
}

REPLACE(int, fstatat, (int fd, const char *name, struct stat *found, int flags));
int __wrap_fstatat(int fd, const char *name, struct stat *found, int flags)
{
	if (!fs_is_on)
		return __real_fstatat(fd, name, found, flags);
	struct fs_entry *entry;

	check((flags & AT_SYMLINK_NOFOLLOW) != 0, "no link is followed");
	if (strcmp(name, ".") == 0)
		return describe(fs_node_of(fd), found);
	fs_check_name(name);
	entry = fs_find(fs_node_of(fd), name);
	return entry == NULL ? fs_fail(ENOENT) : describe(entry->node, found);
}

REPLACE(int, fstat, (int fd, struct stat *found));
int __wrap_fstat(int fd, struct stat *found)
{
	if (!fs_is_on)
		return __real_fstat(fd, found);
	return describe(fs_node_of(fd), found);
}

REPLACE(int, stat, (const char *path, struct stat *found));
int __wrap_stat(const char *path, struct stat *found)
{
	if (!fs_is_on)
		return __real_stat(path, found);
	(void)path;
	return describe(0, found);
}

/* A list of entries is only asked whether there is one. */
static int listed;
static struct dirent shown;

REPLACE(DIR *, fdopendir, (int fd));
DIR *__wrap_fdopendir(int fd)
{
	if (!fs_is_on)
		return __real_fdopendir(fd);
	listed = fd;
	return (DIR *)&listed;
}

REPLACE(struct dirent *, readdir, (DIR * list));
struct dirent *__wrap_readdir(DIR *list)
{
	if (!fs_is_on)
		return __real_readdir(list);
	for (int at = 0; at < fs_entry_count; at++) {
		if (fs_entries[at].directory == fs_node_of(listed))
			return &shown;
	}
	return NULL;
}

REPLACE(int, closedir, (DIR * list));
int __wrap_closedir(DIR *list)
{
	if (!fs_is_on)
		return __real_closedir(list);
	return close(listed);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	if (!fs_is_on)
		return __real_open(path, flags, 0600);
	return fs_new_fd(0);
}

void small_fs_start(struct input *events, struct piece standard_input)
{
	fs_reset(events, standard_input);
	(void)snprintf(shown.d_name, sizeof(shown.d_name), "entry");
	fs_is_on = true;
}

void small_fs_end(void)
{
	fs_is_on = false;
	for (int at = 0; at < fs_entry_count; at++)
		check(!fs_entries[at].is_unfinished, "nothing unfinished is left");
}
