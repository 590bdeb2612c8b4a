/* Operations on directories that are open. */
#include "files/attributes.h"
#include "files/cache.h"
#include "files/directories.h"
#include "files/handle.h"
#include "files/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What getdents64(2) writes. */
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t bytes;
	uint8_t kind;
	char name[];
};

int operation_opendir(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	struct status status;
	struct handle *handle;
	int directory;
	int error = directories_descriptor(files, node, &directory);

	(void)request;
	if (error != 0)
		return error;
	int descriptor = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Listing it fails: list(). */
	if (descriptor < 0 && errno == EACCES && files->options.is_below_overlay)
		descriptor = fcntl(directory, F_DUPFD_CLOEXEC, 0);
	if (descriptor < 0)
		return errno;
	error = status_of_descriptor(descriptor, &status) == 0 ? 0 : errno;
	if (error == 0)
		error = handle_open(files, node, descriptor, &handle);
	if (error != 0) {
		(void)close(descriptor);
		return error;
	}
	const struct fuse_open_out out = {.fh = handle->number,
					  .open_flags = cache_open_flags(files, node, descriptor, &status)};

	reply_with(reply, &out, sizeof(out));
	return 0;
}

/* What was opened though it may not be read has a descriptor that is good for nothing else. */
static int unreadable(int error)
{
	return error == EBADF ? EACCES : error;
}

/* The next entry that the guest has not got; NULL with *error 0: there is none. */
static const struct entry *next_entry(struct handle *handle, int *error)
{
	struct entries *entries = handle->entries;

	*error = 0;
	if (entries->at == entries->end) {
		long n = syscall(SYS_getdents64, handle->descriptor, entries->bytes, sizeof(entries->bytes));

		*error = n < 0 ? unreadable(errno) : 0;
		entries->at = 0;
		entries->end = n > 0 ? (size_t)n : 0;
	}
	return entries->at < entries->end ? (const struct entry *)(const void *)(entries->bytes + entries->at) : NULL;
}

/* Goes on where the guest wants to. */
static int go_to(struct handle *handle, uint64_t offset)
{
	struct entries *entries = handle->entries;

	/* At the start it is read anew: rewinddir(3). */
	if (offset != 0 && (int64_t)offset == entries->offset)
		return 0;
	if (lseek(handle->descriptor, (off_t)offset, SEEK_SET) < 0)
		return unreadable(errno);
	entries->at = 0;
	entries->end = 0;
	entries->offset = (int64_t)offset;
	return 0;
}

static bool is_itself_or_above(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Looks up what was listed. If that fails, the number 0 tells the guest that it was not looked up. */
static struct fuse_entry_out look_up(struct files *files, struct node *node, const char *name)
{
	const struct fuse_entry_out nothing = {.nodeid = 0};
	struct status status;
	int directory;
	int error;

	if (is_itself_or_above(name) || directories_descriptor(files, node, &directory) != 0 ||
	    status_of_name(directory, name, &status) != 0)
		return nothing;
	struct node *found = node_find(files, node, name, &status, &error);

	return found == NULL ? nothing : attributes_entry(files, node, found, &status);
}

/* Adds an entry to the reply. False if there is no room. */
static bool add(struct files *files, struct node *node, const struct entry *entry, bool plus, struct reply *reply,
		size_t room)
{
	const size_t length = strlen(entry->name);
	const size_t before = plus ? sizeof(struct fuse_entry_out) : 0;
	const size_t unpadded = before + FUSE_NAME_OFFSET + length;
	const size_t bytes = FUSE_DIRENT_ALIGN(unpadded);
	const struct fuse_dirent out = {
		.ino = entry->inode,
		.off = (uint64_t)entry->next,
		.namelen = (uint32_t)length,
		.type = entry->kind,
	};
	uint8_t *at = reply->data + reply->bytes;

	if (bytes > room - reply->bytes)
		return false;
	if (plus) {
		const struct fuse_entry_out found = look_up(files, node, entry->name);

		(void)memcpy(at, &found, sizeof(found));
	}
	(void)memcpy(at + before, &out, FUSE_NAME_OFFSET);
	(void)memcpy(at + before + FUSE_NAME_OFFSET, entry->name, length);
	(void)memset(at + unpadded, 0, bytes - unpadded);
	reply->bytes += bytes;
	return true;
}

static int list(struct files *files, const struct request *request, struct reply *reply, bool plus)
{
	const struct fuse_read_in *in = request_arguments(request, sizeof(*in));
	struct handle *handle = in == NULL ? NULL : handle_of(files, in->fh);
	const struct entry *entry;
	int error;

	if (handle == NULL || handle->entries == NULL)
		return in == NULL ? EINVAL : EBADF;
	size_t room = in->size < request->room ? in->size : request->room;

	if (room > REPLY_BYTES)
		room = REPLY_BYTES;
	error = go_to(handle, in->offset);
	if (error != 0)
		return error;
	while ((entry = next_entry(handle, &error)) != NULL) {
		if (!add(files, handle->node, entry, plus, reply, room))
			break;
		handle->entries->offset = entry->next;
		handle->entries->at += entry->bytes;
	}
	/* What was listed so far is not lost: the guest asks again behind it. */
	return reply->bytes > 0 ? 0 : error;
}

int operation_readdir(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	(void)node;
	return list(files, request, reply, false);
}

int operation_readdirplus(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	(void)node;
	return list(files, request, reply, true);
}
