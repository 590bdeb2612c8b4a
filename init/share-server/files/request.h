/* A request of the guest, copied out of its memory, and where its reply goes. linux/fuse.h */
#ifndef VS_FILES_REQUEST_H
#define VS_FILES_REQUEST_H

#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Longer requests are refused. Of those that are served, Linux sends none with more than a name and some numbers. */
#define REQUEST_BYTES 4096U

/*
 * More is not read at once. The guest agrees to so many pages of its own, which have 64 KiB at most.
 */
#define READ_PAGES 256
#define READ_BYTES (READ_PAGES * 65536U)

/* The longest reply that is not read from a file straight into the guest's memory. */
#define REPLY_BYTES 65536U

struct request {
	union {
		struct fuse_in_header header;
		uint8_t bytes[REQUEST_BYTES];
	} copy;
	/* Behind the header. */
	size_t bytes;
	/* It was not copied whole, or is not as long as it says. */
	bool is_broken;
	/* Where the reply goes. */
	const struct iovec *out;
	size_t out_count;
	/* Whether there is room for the header of a reply, and how much behind that. */
	bool has_room;
	size_t room;
};

struct reply {
	/* How much of it there is, behind the header. */
	size_t bytes;
	/* It stands in the guest's memory already. */
	bool is_written;
	/* None is sent. */
	bool is_none;
	_Alignas(8) uint8_t data[REPLY_BYTES];
};

/* Copies a request. False: it is none. */
bool request_copy(struct request *request, const struct iovec *in, size_t in_count, const struct iovec *out,
		  size_t out_count);

/* The arguments of a request, of a type with so many bytes. NULL: there are fewer. */
const void *request_arguments(const struct request *request, size_t bytes);

/* The name that the arguments are, which is no path. Returns 0 or an error. */
int request_name(const struct request *request, const char **name);

/* Where bytes of the reply go, from `skipped` behind its header on, `bytes` of them at most. Returns the count of parts. */
size_t request_parts(const struct request *request, size_t skipped, size_t bytes, struct iovec parts[]);

/* Makes a reply of these bytes. */
void reply_with(struct reply *reply, const void *data, size_t bytes);

/* Writes the header, and the reply if that is not there yet. @error of the request, or 0. Returns how many bytes there are. */
uint32_t reply_write(const struct request *request, const struct reply *reply, int error);

#endif
