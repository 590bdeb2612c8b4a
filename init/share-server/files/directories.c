#include "files/directories.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Deeper directories are opened again level by level from no more than this far above. */
#define MOST_LEVELS 4096

/* Of every open(2) here. A pipe that has come into a file's place is not waited for. */
#define OPEN_FLAGS (O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

int directories_error(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP ? ESTALE : error;
}

static void unlink_from_list(struct files *files, struct node *node)
{
	*(node->newer == NULL ? &files->newest : &node->newer->older) = node->older;
	*(node->older == NULL ? &files->oldest : &node->older->newer) = node->newer;
}

static void put_first(struct files *files, struct node *node)
{
	node->newer = NULL;
	node->older = files->newest;
	*(files->newest == NULL ? &files->oldest : &files->newest->newer) = node;
	files->newest = node;
}

void directories_drop(struct files *files, struct node *node)
{
	if (node->descriptor < 0 || node == files->root)
		return;
	unlink_from_list(files, node);
	(void)close(node->descriptor);
	node->descriptor = -1;
	files->directories -= 1;
}

static void keep(struct files *files, struct node *node, int descriptor)
{
	if (files->directories >= files->most_directories)
		directories_drop(files, files->oldest);
	node->descriptor = descriptor;
	put_first(files, node);
	files->directories += 1;
}

static void touch(struct files *files, struct node *node)
{
	if (node == files->root || node == files->newest)
		return;
	unlink_from_list(files, node);
	put_first(files, node);
}

static int open_below(int directory, const struct node *node, int flags, int *descriptor, struct status *status)
{
	int error = 0;
	int fd = openat(directory, node->name, flags | OPEN_FLAGS);

	if (fd < 0)
		return directories_error(errno);
	if (status_of_descriptor(fd, status) != 0)
		error = errno;
	else if (!node_is(node, status))
		error = ESTALE;
	if (error != 0) {
		(void)close(fd);
		return error;
	}
	*descriptor = fd;
	return 0;
}

/* The one of the node and its parents that is opened next: its own parent has a descriptor. NULL: it is too far above. */
static struct node *first_closed(struct node *node)
{
	for (int level = 0; level < MOST_LEVELS; level += 1) {
		if (node->parent->descriptor >= 0)
			return node;
		node = node->parent;
	}
	return NULL;
}

int directories_descriptor(struct files *files, struct node *node, int *descriptor)
{
	if (!S_ISDIR(node->identity.kind))
		return ENOTDIR;
	while (node->descriptor < 0) {
		struct node *closed = first_closed(node);
		struct status status;
		int fd;

		if (closed == NULL)
			return ESTALE;
		/* Not with O_DIRECTORY, which would have the kernel mount what is mounted on demand. What it is was seen. */
		int error = open_below(closed->parent->descriptor, closed, O_PATH, &fd, &status);

		if (error != 0)
			return error;
		/* Its parent is not the one that gives way to it. */
		touch(files, closed->parent);
		keep(files, closed, fd);
	}
	touch(files, node);
	*descriptor = node->descriptor;
	return 0;
}

int directories_status(struct files *files, struct node *node, struct status *status)
{
	int directory;
	int error = directories_descriptor(files, node->parent, &directory);

	if (error != 0)
		return error;
	if (status_of_name(directory, node->name, status) != 0)
		return directories_error(errno);
	return node_is(node, status) ? 0 : ESTALE;
}

int directories_open(struct files *files, struct node *node, int flags, int *descriptor, struct status *status)
{
	int directory;
	int error = directories_descriptor(files, node->parent, &directory);

	return error != 0 ? error : open_below(directory, node, flags, descriptor, status);
}
