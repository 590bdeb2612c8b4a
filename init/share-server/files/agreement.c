#include "files/agreement.h"

#include "files/cache.h"

#include <errno.h>
#include <string.h>

/* Linux 5.4, the first that has virtiofs. */
#define LEAST_MINOR 31U
/* What this program knows. Later ones change nothing that it answers. */
#define MINOR 38U

/* Of a write(2), and nobody writes. */
#define WRITE_BYTES (1U << 20)

/* The fields that a kernel of LEAST_MINOR sends. */
#define LEAST_BYTES 16U

/*
 * Not wanted, beside all that is about writing: FUSE_POSIX_LOCKS and FUSE_FLOCK_LOCKS, so that locks are between programs
 * inside; FUSE_NO_OPEN_SUPPORT, since each open asks whether what was read before is still right.
 */
static uint32_t wanted(const struct files *files)
{
	uint32_t flags = FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_AUTO_INVAL_DATA |
			 FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_MAX_PAGES;

	if (cache_keeps_links(files))
		flags |= FUSE_CACHE_SYMLINKS;
	if (files->options.announces_mounts)
		flags |= FUSE_SUBMOUNTS;
	return flags;
}

int agreement_make(struct files *files, const struct request *request, struct reply *reply)
{
	struct fuse_init_in in = {.major = 0};
	const void *arguments = request_arguments(request, LEAST_BYTES);

	if (arguments == NULL)
		return EINVAL;
	(void)memcpy(&in, arguments, LEAST_BYTES);
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = MINOR};

	/* A later one asks again as this one. */
	if (in.major > FUSE_KERNEL_VERSION) {
		reply_with(reply, &out, sizeof(out));
		return 0;
	}
	if (in.major < FUSE_KERNEL_VERSION || in.minor < LEAST_MINOR)
		return EPROTO;
	out.max_readahead = in.max_readahead;
	out.flags = in.flags & wanted(files);
	out.max_write = WRITE_BYTES;
	out.max_pages = READ_PAGES;
	out.time_gran = 1;
	files->knows_mounts = (out.flags & FUSE_SUBMOUNTS) != 0;
	reply_with(reply, &out, sizeof(out));
	return 0;
}
