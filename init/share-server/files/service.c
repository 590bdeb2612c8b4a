#include "files/service.h"

#include "files/agreement.h"
#include "files/handle.h"
#include "files/nodes.h"
#include "files/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* Of this process itself: streams, the socket, the rings, and files that are open for a moment. */
#define OWN_DESCRIPTORS 64UL

static struct node *make_root(struct files *files)
{
	struct status status;
	struct node *root;

	if (status_of_descriptor(files->options.root, &status) != 0)
		return NULL;
	root = node_make_root(files, &status);
	if (root == NULL)
		errno = ENOMEM;
	else
		root->descriptor = files->options.root;
	return root;
}

/* A quarter of the descriptors is for directories, and the others for what the guest has open. */
static void share_descriptors(struct files *files)
{
	const unsigned long own = files->options.descriptors;
	const unsigned long free_ones = own > 2 * OWN_DESCRIPTORS ? own - OWN_DESCRIPTORS : OWN_DESCRIPTORS;
	const unsigned long quarter = free_ones / 4;

	files->most_directories = quarter < FILES_DIRECTORIES ? quarter : FILES_DIRECTORIES;
	const unsigned long handles = free_ones - files->most_directories;

	files->handles_most = handles < FILES_HANDLES ? (uint32_t)handles : FILES_HANDLES;
}

bool service_open(struct files *files, const struct files_options *options)
{
	*files = (struct files){.options = *options};
	share_descriptors(files);
	if (!table_open(&files->by_id) || !table_open(&files->by_identity)) {
		errno = ENOMEM;
		return false;
	}
	files->root = make_root(files);
	return files->root != NULL;
}

/* What the guest knows and has open is another guest's, or that of a mount that is gone. */
static void forget_everything(struct files *files)
{
	for (uint32_t at = 0; at < files->handles_room; at += 1)
		if (files->handles[at] != NULL)
			handle_close(files, files->handles[at]);
	node_forget_all(files);
}

void service_close(struct files *files)
{
	forget_everything(files);
	free(files->handles);
	files->handles = NULL;
	files->handles_room = 0;
	node_free_all(files);
}

static const operation OPERATIONS[] = {
	[FUSE_LOOKUP] = operation_lookup,
	[FUSE_GETATTR] = operation_getattr,
	[FUSE_READLINK] = operation_readlink,
	[FUSE_STATFS] = operation_statfs,
	[FUSE_OPEN] = operation_open,
	[FUSE_READ] = operation_read,
	[FUSE_LSEEK] = operation_lseek,
	[FUSE_RELEASE] = operation_release,
	[FUSE_OPENDIR] = operation_opendir,
	[FUSE_READDIR] = operation_readdir,
	[FUSE_READDIRPLUS] = operation_readdirplus,
	[FUSE_RELEASEDIR] = operation_release,
};

#define OPERATIONS_COUNT (sizeof(OPERATIONS) / sizeof(OPERATIONS[0]))

static void forget(struct files *files, uint64_t id, uint64_t times)
{
	struct node *node = node_of(files, id);

	/* The root is never forgotten. */
	if (node != NULL && node != files->root)
		node_forget(files, node, times);
}

static void forget_one(struct files *files, const struct request *request)
{
	const struct fuse_forget_in *in = request_arguments(request, sizeof(*in));

	if (in != NULL)
		forget(files, request->copy.header.nodeid, in->nlookup);
}

static void forget_many(struct files *files, const struct request *request)
{
	const struct fuse_batch_forget_in *in = request_arguments(request, sizeof(*in));

	if (in == NULL)
		return;
	const struct fuse_forget_one *each = (const struct fuse_forget_one *)(const void *)(in + 1);

	for (size_t left = (request->bytes - sizeof(*in)) / sizeof(*each), count = in->count; left > 0 && count > 0;
	     left -= 1, count -= 1, each += 1)
		forget(files, each->nodeid, each->nlookup);
}

static int refuse(uint32_t kind)
{
	switch (kind) {
	case FUSE_SETATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_WRITE:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_CREATE:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_TMPFILE:
		return EROFS;
	/* Nothing was written that could be. */
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_SYNCFS:
		return 0;
	/* The guest's kernel asks for these once and never again. It has no attributes of users, as from virtiofsd. */
	default:
		return ENOSYS;
	}
}

/* What the guest would know of by the reply alone is not done if that does not fit. */
static size_t least_room(uint32_t kind)
{
	switch (kind) {
	case FUSE_LOOKUP:
		return sizeof(struct fuse_entry_out);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return sizeof(struct fuse_open_out);
	default:
		return 0;
	}
}

static int answer(struct files *files, const struct request *request, struct reply *reply)
{
	const uint32_t kind = request->copy.header.opcode;

	switch (kind) {
	case FUSE_INIT:
		if (request->is_broken)
			return EINVAL;
		forget_everything(files);
		return agreement_make(files, request, reply);
	case FUSE_DESTROY:
		forget_everything(files);
		return 0;
	case FUSE_FORGET:
		if (!request->is_broken)
			forget_one(files, request);
		reply->is_none = true;
		return 0;
	case FUSE_BATCH_FORGET:
		if (!request->is_broken)
			forget_many(files, request);
		reply->is_none = true;
		return 0;
	/* Each request is done before the next is read. */
	case FUSE_INTERRUPT:
		reply->is_none = true;
		return 0;
	default:
		break;
	}
	if (kind >= OPERATIONS_COUNT || OPERATIONS[kind] == NULL)
		return refuse(kind);
	if (request->is_broken || request->room < least_room(kind))
		return EINVAL;
	struct node *node = node_of(files, request->copy.header.nodeid);

	return node == NULL ? ESTALE : OPERATIONS[kind](files, node, request, reply);
}

uint32_t service_answer(struct files *files, const struct iovec *in, size_t in_count, const struct iovec *out,
			size_t out_count)
{
	static struct request request;
	static struct reply reply;

	if (!request_copy(&request, in, in_count, out, out_count))
		return 0;
	reply.bytes = 0;
	reply.is_written = false;
	reply.is_none = false;
	return reply_write(&request, &reply, answer(files, &request, &reply));
}
