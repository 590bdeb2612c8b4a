#include "upper.h"

#include "top.h"
#include "wall.h"

#include <stdio.h>
#include <sys/stat.h>

/*
 * As those of a machine's overlay: init/common/overlay.ts. The wall has no xino: its inode numbers are those of the host,
 * which leave room for the bits of the upper overlay. A redirect is a path of the lower layer, which may lead elsewhere
 * in a later run, so layers that are kept have none. The kernel's attributes on them are trusted.*, which nobody inside
 * may set.
 */
#define OPTIONS "index=off,metacopy=off,xino=on"
/* The lock has nothing in it. As a layer it lasts as long as the overlay. */
#define KEPT_OPTIONS "lowerdir=%s:" KEPT_LOCK ",upperdir=%s,workdir=%s,redirect_dir=nofollow," OPTIONS
#define MEMORY_OPTIONS "lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=on," OPTIONS

#define LAYER_BYTES 64

static void name_layer(char name[LAYER_BYTES], const char *folder, size_t number)
{
	(void)snprintf(name, LAYER_BYTES, "%s/%zu", folder, number);
}

int upper_make(const struct arguments *options, const char *mount, size_t number, char data[UPPER_OPTION_BYTES])
{
	char lower[LAYER_BYTES];
	char upper[KEPT_PATH_BYTES];
	char work[KEPT_PATH_BYTES];

	name_layer(lower, wall_is_needed(options) ? "wall" : "lower", number);
	if (options->kept != NULL) {
		if (kept_make(mount, lower, upper, work) != 0)
			return -1;
		(void)snprintf(data, UPPER_OPTION_BYTES, KEPT_OPTIONS, lower, upper, work);
		return 0;
	}
	name_layer(upper, "upper", number);
	name_layer(work, "work", number);
	(void)snprintf(data, UPPER_OPTION_BYTES, MEMORY_OPTIONS, lower, upper, work);
	return top_copy(lower, upper) == 0 ? mkdir(work, 0700) : -1;
}
