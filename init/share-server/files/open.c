/* Operations on files that are open. */
#include "files/cache.h"
#include "files/directories.h"
#include "files/handle.h"
#include "files/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

/* One that is open already is read by the same description: all reading here names its offset. */
static int open_again(const struct handle *handle, int *descriptor, struct status *status)
{
	*descriptor = fcntl(handle->descriptor, F_DUPFD_CLOEXEC, 0);
	if (*descriptor < 0)
		return errno;
	if (status_of_descriptor(*descriptor, status) == 0)
		return 0;
	int error = errno;

	(void)close(*descriptor);
	return error;
}

/* One that may not be read, if there is nothing to read: files/state.h */
static int open_empty(struct files *files, struct node *node, int *descriptor, struct status *status)
{
	int error = directories_open(files, node, O_PATH, descriptor, status);

	if (error != 0)
		return error;
	if (status->stx_size == 0)
		return 0;
	(void)close(*descriptor);
	return EACCES;
}

/* Of one that was empty when it was opened so: 0 if it is still. */
static int read_empty(int descriptor)
{
	struct status status;

	if (status_of_descriptor(descriptor, &status) != 0)
		return errno;
	return status.stx_size == 0 ? 0 : EACCES;
}

int operation_open(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	const struct fuse_open_in *in = request_arguments(request, sizeof(*in));
	struct status status;
	struct handle *handle;
	int descriptor;

	if (in == NULL)
		return EINVAL;
	/* The guest opens devices, pipes and sockets itself. */
	if (!S_ISREG(node->identity.kind))
		return S_ISDIR(node->identity.kind) ? EISDIR : ENXIO;
	if ((in->flags & (O_WRONLY | O_RDWR | O_TRUNC)) != 0)
		return EROFS;
	int error = directories_open(files, node, O_RDONLY, &descriptor, &status);

	if (error == EACCES && files->options.is_below_overlay)
		error = open_empty(files, node, &descriptor, &status);
	/* The host has removed or renamed it meanwhile. */
	if (error == ESTALE && node->opened != NULL)
		error = open_again(node->opened, &descriptor, &status);
	if (error != 0)
		return error;
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

/* The file that a request reads; NULL: it is not open. */
static struct handle *file_of(const struct files *files, uint64_t number)
{
	struct handle *handle = handle_of(files, number);

	return handle != NULL && handle->entries == NULL ? handle : NULL;
}

int operation_read(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	static struct iovec parts[IOV_MAX];
	const struct fuse_read_in *in = request_arguments(request, sizeof(*in));
	const struct handle *handle = in == NULL ? NULL : file_of(files, in->fh);

	(void)node;
	if (handle == NULL)
		return in == NULL ? EINVAL : EBADF;
	const size_t wanted = in->size < request->room ? in->size : request->room;

	if (wanted > READ_BYTES || in->offset > INT64_MAX - wanted)
		return EINVAL;
	/*
	 * The guest takes less for the end of the file. So it gets less at the end only, and an error also where something
	 * came before it.
	 */
	for (size_t got = 0; got < wanted;) {
		const size_t count = request_parts(request, got, wanted - got, parts);
		const ssize_t n = preadv(handle->descriptor, parts, (int)count, (off_t)(in->offset + got));

		if (n < 0 && errno == EBADF) {
			int error = read_empty(handle->descriptor);

			if (error != 0)
				return error;
			break;
		}
		if (n < 0 && errno != EINTR)
			return errno;
		if (n == 0)
			break;
		got += n > 0 ? (size_t)n : 0;
		reply->bytes = got;
	}
	reply->is_written = true;
	return 0;
}

int operation_lseek(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	const struct fuse_lseek_in *in = request_arguments(request, sizeof(*in));
	const struct handle *handle = in == NULL ? NULL : file_of(files, in->fh);

	(void)node;
	if (handle == NULL)
		return in == NULL ? EINVAL : EBADF;
	if (in->offset > INT64_MAX || (in->whence != SEEK_DATA && in->whence != SEEK_HOLE))
		return EINVAL;
	const off_t found = lseek(handle->descriptor, (off_t)in->offset, (int)in->whence);

	if (found < 0)
		return errno == EBADF ? EACCES : errno;
	const struct fuse_lseek_out out = {.offset = (uint64_t)found};

	reply_with(reply, &out, sizeof(out));
	return 0;
}

int operation_release(struct files *files, struct node *node, const struct request *request, struct reply *reply)
{
	const struct fuse_release_in *in = request_arguments(request, sizeof(*in));
	struct handle *handle = in == NULL ? NULL : handle_of(files, in->fh);

	(void)node;
	(void)reply;
	if (handle == NULL)
		return in == NULL ? EINVAL : EBADF;
	handle_close(files, handle);
	return 0;
}
