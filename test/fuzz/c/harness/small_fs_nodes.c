#include "harness/small_fs_nodes.h"

#include "harness/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FIRST_FD 6000
#define MOST_FDS 64
#define MOST_NODES 128
#define MOST_ENTRIES 256

struct fs_node fs_nodes[MOST_NODES];
struct fs_entry fs_entries[MOST_ENTRIES];
int fs_entry_count;
bool fs_is_on;
struct piece fs_input;
static int node_count;
/* The inode of a descriptor, or -1. */
static int fds[MOST_FDS];
static struct input *others;

void fs_reset(struct input *events, struct piece standard_input)
{
	fs_input = standard_input;
	others = events;
	memset(fds, -1, sizeof(fds));
	fs_entry_count = 0;
	fs_nodes[0] = (struct fs_node){S_IFDIR, FS_ME, 0};
	node_count = 1;
}

uint8_t fs_event(void)
{
	return input_byte(others);
}

int fs_fail(int error)
{
	errno = error;
	return -1;
}

bool fs_fails(void)
{
	static const int errors[] = {EPERM, ENOSPC, EACCES, EOPNOTSUPP, EMLINK, EXDEV, EIO, ENOENT};
	uint8_t byte = fs_event();

	if (byte < 248)
		return false;
	errno = errors[byte - 248];
	return true;
}

int fs_node_of(int fd)
{
	check(fd >= FIRST_FD && fd < FIRST_FD + MOST_FDS && fds[fd - FIRST_FD] >= 0, "a descriptor is open");
	return fds[fd - FIRST_FD];
}

int fs_new_fd(int node)
{
	for (int at = 0; at < MOST_FDS; at++) {
		if (fds[at] < 0) {
			fds[at] = node;
			return FIRST_FD + at;
		}
	}
	check(false, "few descriptors are open");
	return -1;
}

int fs_new_node(mode_t type, uid_t owner, int above)
{
	if (node_count == MOST_NODES)
		return fs_fail(ENOSPC);
	fs_nodes[node_count] = (struct fs_node){type, owner, above};
	return node_count++;
}

struct fs_entry *fs_find(int directory, const char *name)
{
	for (int at = 0; at < fs_entry_count; at++) {
		if (fs_entries[at].directory == directory && strcmp(fs_entries[at].name, name) == 0)
			return &fs_entries[at];
	}
	return NULL;
}

void fs_add_entry(int directory, int node, const char *name)
{
	struct fs_entry *entry = &fs_entries[fs_entry_count++];

	entry->directory = directory;
	entry->node = node;
	entry->is_unfinished = fs_nodes[node].type != S_IFDIR;
	(void)snprintf(entry->name, sizeof(entry->name), "%s", name);
}

void fs_remove_entry(struct fs_entry *entry)
{
	*entry = fs_entries[--fs_entry_count];
}

void fs_check_name(const char *name)
{
	check(name[0] != '\0' && strchr(name, '/') == NULL && strlen(name) < FS_NAME_BYTES,
	      "a name is one of an entry");
	check(strcmp(name, ".") != 0 && strcmp(name, "..") != 0, "a name leads nowhere else");
}

int fs_check_making(int fd, const char *name)
{
	int directory = fs_node_of(fd);

	fs_check_name(name);
	check(fs_nodes[directory].owner == FS_ME, "nothing is made in what is another one's");
	if (fs_fails())
		return -1;
	if (fs_entry_count == MOST_ENTRIES)
		return fs_fail(ENOSPC);
	return fs_find(directory, name) != NULL ? fs_fail(EEXIST) : directory;
}

int fs_make_entry(int fd, const char *name, mode_t type)
{
	int directory = fs_check_making(fd, name);
	int node = directory < 0 ? -1 : fs_new_node(type, FS_ME, directory);

	if (node < 0)
		return -1;
	fs_add_entry(directory, node, name);
	return node;
}

void fs_exchange(int fd, const char *name)
{
	struct fs_entry *entry = fs_find(fs_node_of(fd), name);
	uint8_t byte = fs_event();

	if (byte < 192)
		return;
	entry->node = fs_new_node(byte < 224 ? S_IFDIR : S_IFLNK, FS_OTHER, entry->directory);
	if (entry->node < 0)
		fs_remove_entry(entry);
}

void fs_close(int fd)
{
	(void)fs_node_of(fd);
	fds[fd - FIRST_FD] = -1;
}
