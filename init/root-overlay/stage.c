#include "stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of libvirt's /dev, which is a tmpfs of the container's own. */
#define STAGE "/dev/.overlay"
#define BYTES_PER_INODE 4096
#define OPTION_BYTES 512

static const char *const FOLDERS[] = {"empty", "lower", "wall", "upper", "work", STAGE_TREE};

int stage_make(uint64_t bytes)
{
	char options[OPTION_BYTES];

	(void)snprintf(options, sizeof(options), "mode=755,size=%" PRIu64 ",nr_inodes=%" PRIu64, bytes,
		       bytes / BYTES_PER_INODE);
	/* The init may have mounted it there, to hold it open: init/common/root-overlay.ts. */
	if (mkdir(STAGE, 0755) == 0 ? mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0
				    : errno != EEXIST)
		return -1;
	if (mount(NULL, STAGE, NULL, MS_PRIVATE, NULL) != 0 || chdir(STAGE) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(FOLDERS) / sizeof(FOLDERS[0]); i++) {
		if (mkdir(FOLDERS[i], 0755) != 0)
			return -1;
	}
	return 0;
}

int stage_discard(void)
{
	if (chdir("/") != 0 || (umount2(STAGE, MNT_DETACH) != 0 && errno != EINVAL && errno != ENOENT))
		return -1;
	return rmdir(STAGE) == 0 || errno == ENOENT ? 0 : -1;
}
