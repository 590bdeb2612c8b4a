/* Operations on names and attributes. */
#include "files/attributes.h"
#include "files/cache.h"
#include "files/directories.h"
#include "files/handle.h"
#include "files/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

int operation_lookup(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	struct status status;
	const char *name;
	int directory;
	int error = request_name(request, &name);

	if (error == 0)
		error = directories_descriptor(files, node, &directory);
	if (error != 0)
		return error;
	if (status_of_name(directory, name, &status) != 0) {
		/* The number 0 is of no node: the guest keeps for a time that there is no such name. */
		const struct fuse_entry_out nothing = {.entry_valid = cache_seconds(files)};

		if (errno != ENOENT || nothing.entry_valid == 0)
			return errno;
		reply_with(reply, &nothing, sizeof(nothing));
		return 0;
	}
	struct node *found = node_find(files, node, name, &status, &error);

	if (found == NULL)
		return error;
	const struct fuse_entry_out entry = attributes_entry(files, node, found, &status);

	reply_with(reply, &entry, sizeof(entry));
	return 0;
}

/* An open file has its attributes whatever its name has come to be. */
static int status_of(struct files *files, struct node *node, struct status *status)
{
	int descriptor = node->opened != NULL ? node->opened->descriptor : node->descriptor;

	if (descriptor < 0)
		return directories_status(files, node, status);
	return status_of_descriptor(descriptor, status) == 0 ? 0 : errno;
}

int operation_getattr(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	struct status status;
	int error = status_of(files, node, &status);

	(void)request;
	if (error != 0)
		return error;
	const struct fuse_attr_out out = {.attr_valid = cache_seconds(files), .attr = attributes_of(files, &status)};

	reply_with(reply, &out, sizeof(out));
	return 0;
}

int operation_readlink(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	char target[PATH_MAX];
	struct status status;
	int descriptor;

	(void)request;
	if (!S_ISLNK(node->identity.kind))
		return EINVAL;
	int error = directories_open(files, node, O_PATH, &descriptor, &status);

	if (error != 0)
		return error;
	ssize_t length = readlinkat(descriptor, "", target, sizeof(target));

	error = length < 0 ? errno : 0;
	(void)close(descriptor);
	if (error == 0)
		reply_with(reply, target, (size_t)length);
	return error;
}

int operation_statfs(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	struct node *directory = S_ISDIR(node->identity.kind) ? node : node->parent;
	struct statvfs system;
	int descriptor;
	int error = directories_descriptor(files, directory, &descriptor);

	(void)request;
	if (error != 0)
		return error;
	if (fstatvfs(descriptor, &system) != 0)
		return errno;
	const struct fuse_statfs_out out = {.st = {
						    .blocks = system.f_blocks,
						    .bfree = system.f_bfree,
						    .bavail = system.f_bavail,
						    .files = system.f_files,
						    .ffree = system.f_ffree,
						    .bsize = (uint32_t)system.f_bsize,
						    .namelen = (uint32_t)system.f_namemax,
						    .frsize = (uint32_t)system.f_frsize,
					    }};

	reply_with(reply, &out, sizeof(out));
	return 0;
}
