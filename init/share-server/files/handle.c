#include "files/handle.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_ROOM 64U

/* A free number. False: there is none. */
static bool find_free(struct files *files, uint32_t *number)
{
	while (files->handles_from < files->handles_room && files->handles[files->handles_from] != NULL)
		files->handles_from += 1;
	*number = files->handles_from;
	return files->handles_from < files->handles_room;
}

static bool grow(struct files *files)
{
	const uint32_t room = files->handles_room == 0 ? FIRST_ROOM : 2 * files->handles_room;
	struct handle **larger = realloc(files->handles, room * sizeof(*larger));

	if (larger == NULL)
		return false;
	for (uint32_t at = files->handles_room; at < room; at += 1)
		larger[at] = NULL;
	files->handles = larger;
	files->handles_room = room;
	return true;
}

int handle_open(struct files *files, struct node *node, int descriptor, struct handle **handle)
{
	uint32_t number;
	struct handle *made;

	if (files->handles_count >= files->handles_most)
		return ENFILE;
	if (!find_free(files, &number) && (!grow(files) || !find_free(files, &number)))
		return ENOMEM;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return ENOMEM;
	if (S_ISDIR(node->identity.kind)) {
		made->entries = malloc(sizeof(*made->entries));
		if (made->entries == NULL) {
			free(made);
			return ENOMEM;
		}
		made->entries->at = 0;
		made->entries->end = 0;
		made->entries->offset = 0;
	}
	made->descriptor = descriptor;
	made->node = node;
	made->number = ((uint64_t)files->next_generation << 32) | number;
	files->next_generation += 1;
	made->next = node->opened;
	if (made->next != NULL)
		made->next->previous = made;
	node->opened = made;
	files->handles[number] = made;
	files->handles_count += 1;
	*handle = made;
	return 0;
}

struct handle *handle_of(const struct files *files, uint64_t number)
{
	const uint32_t at = (uint32_t)number;
	struct handle *handle = at < files->handles_room ? files->handles[at] : NULL;

	return handle != NULL && handle->number == number ? handle : NULL;
}

void handle_close(struct files *files, struct handle *handle)
{
	const uint32_t at = (uint32_t)handle->number;
	struct node *node = handle->node;

	*(handle->previous == NULL ? &node->opened : &handle->previous->next) = handle->next;
	if (handle->next != NULL)
		handle->next->previous = handle->previous;
	files->handles[at] = NULL;
	files->handles_count -= 1;
	if (at < files->handles_from)
		files->handles_from = at;
	(void)close(handle->descriptor);
	free(handle->entries);
	free(handle);
	node_release(files, node);
}
