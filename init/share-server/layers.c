#include "layers.h"

#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

bool layers_are_served(const char *program)
{
	return strcmp(link_name(program), OVERLAY_SERVER) == 0;
}

const char *layers_lock(const char *directory)
{
	/* It stays open until this process ends. What it executes and its children have it not. */
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return directory;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return NULL;
	return errno == EWOULDBLOCK ? "the overlay is in use" : "cannot lock the overlay";
}
