/* The rights with which upper layers are made that belong to other ids than root's. */
#pragma once

#include "arguments.h"

/*
 * Makes new files of this process belong to user and group 0 of these ids. A file system that is mounted with ids takes
 * none of the host's root, which has no number there, and overlays make files with the rights of who mounted them. All
 * capabilities stay. Returns 0, or -1 with errno set.
 */
int owner_become(const struct id_map *uids, const struct id_map *gids);
