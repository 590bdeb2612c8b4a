/* statx(2), whole: musl knows no number of a mount. And where a symbolic link leads. */
#ifndef VS_FILES_STATUS_H
#define VS_FILES_STATUS_H

#include <stdint.h>

/* STATX_BTIME and STATX_MNT_ID: file systems or kernels without them leave these bits out of stx_mask. */
#define STATUS_BIRTH UINT32_C(0x800)
#define STATUS_MOUNT UINT32_C(0x1000)

struct status_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	uint32_t reserved;
};

/* struct statx of linux/stat.h, and what follows it. */
struct status {
	uint32_t stx_mask;
	uint32_t stx_blksize;
	uint64_t stx_attributes;
	uint32_t stx_nlink;
	uint32_t stx_uid;
	uint32_t stx_gid;
	uint16_t stx_mode;
	uint16_t reserved;
	uint64_t stx_ino;
	uint64_t stx_size;
	uint64_t stx_blocks;
	uint64_t stx_attributes_mask;
	struct status_time stx_atime;
	struct status_time stx_btime;
	struct status_time stx_ctime;
	struct status_time stx_mtime;
	uint32_t stx_rdev_major;
	uint32_t stx_rdev_minor;
	uint32_t stx_dev_major;
	uint32_t stx_dev_minor;
	uint64_t stx_mnt_id;
	uint64_t reserved_too[13];
	/* Of a symbolic link, a hash of its target. Of others, 0. */
	uint64_t target;
};

/* Of what a descriptor is of. 0, or -1 with errno; ESTALE: it changes just now. */
int status_of_descriptor(int descriptor, struct status *status);

/*
 * Of a name in a directory, which is not followed and on which nothing is mounted for that. 0, or -1 with errno, as for a
 * descriptor.
 */
int status_of_name(int directory, const char *name, struct status *status);

#endif
