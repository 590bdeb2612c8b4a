#include "files/request.h"

#include <errno.h>
#include <string.h>

/* The kernel's own limit for a name. */
#define NAME_BYTES 255

bool request_copy(struct request *request, const struct iovec *in, size_t in_count, const struct iovec *out,
		  size_t out_count)
{
	size_t copied = 0;
	size_t whole = 0;
	size_t room = 0;

	for (size_t part = 0; part < in_count; part += 1) {
		const size_t left = REQUEST_BYTES - copied;
		const size_t taken = in[part].iov_len < left ? in[part].iov_len : left;

		(void)memcpy(request->copy.bytes + copied, in[part].iov_base, taken);
		copied += taken;
		whole += in[part].iov_len;
	}
	for (size_t part = 0; part < out_count; part += 1)
		room += out[part].iov_len;
	request->out = out;
	request->out_count = out_count;
	request->has_room = room >= sizeof(struct fuse_out_header);
	request->room = request->has_room ? room - sizeof(struct fuse_out_header) : 0;
	if (copied < sizeof(struct fuse_in_header))
		return false;
	request->bytes = copied - sizeof(struct fuse_in_header);
	request->is_broken = whole > copied || request->copy.header.len != whole;
	return true;
}

const void *request_arguments(const struct request *request, size_t bytes)
{
	return bytes <= request->bytes ? request->copy.bytes + sizeof(struct fuse_in_header) : NULL;
}

int request_name(const struct request *request, const char **name)
{
	const char *text = request_arguments(request, 1);
	const char *end = text == NULL ? NULL : memchr(text, '\0', request->bytes);

	if (end == NULL || end == text || strchr(text, '/') != NULL)
		return EINVAL;
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return EINVAL;
	*name = text;
	return end - text > NAME_BYTES ? ENAMETOOLONG : 0;
}

/* The parts of these bytes of the whole reply. */
static size_t slice(const struct request *request, size_t skipped, size_t bytes, struct iovec parts[])
{
	size_t count = 0;

	for (size_t part = 0; part < request->out_count && bytes > 0; part += 1) {
		const struct iovec *out = &request->out[part];

		if (skipped >= out->iov_len) {
			skipped -= out->iov_len;
			continue;
		}
		const size_t there = out->iov_len - skipped;
		const size_t taken = there < bytes ? there : bytes;

		parts[count] = (struct iovec){.iov_base = (uint8_t *)out->iov_base + skipped, .iov_len = taken};
		count += 1;
		bytes -= taken;
		skipped = 0;
	}
	return count;
}

size_t request_parts(const struct request *request, size_t skipped, size_t bytes, struct iovec parts[])
{
	return slice(request, sizeof(struct fuse_out_header) + skipped, bytes, parts);
}

void reply_with(struct reply *reply, const void *data, size_t bytes)
{
	(void)memcpy(reply->data, data, bytes);
	reply->bytes = bytes;
}

static void put(const struct request *request, size_t at, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	for (size_t part = 0; part < request->out_count && bytes > 0; part += 1) {
		const struct iovec *out = &request->out[part];

		if (at >= out->iov_len) {
			at -= out->iov_len;
			continue;
		}
		const size_t there = out->iov_len - at;
		const size_t taken = there < bytes ? there : bytes;

		(void)memcpy((uint8_t *)out->iov_base + at, from, taken);
		from += taken;
		bytes -= taken;
		at = 0;
	}
}

uint32_t reply_write(const struct request *request, const struct reply *reply, int error)
{
	struct fuse_out_header header = {.len = sizeof(header), .unique = request->copy.header.unique};

	/* Nobody waits for it, or there is no room for it. */
	if (reply->is_none || !request->has_room)
		return 0;
	if (error == 0 && reply->bytes > request->room)
		error = EIO;
	header.error = -error;
	if (error == 0) {
		header.len += (uint32_t)reply->bytes;
		if (!reply->is_written)
			put(request, sizeof(header), reply->data, reply->bytes);
	}
	put(request, 0, &header, sizeof(header));
	return header.len;
}
