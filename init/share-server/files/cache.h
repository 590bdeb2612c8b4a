/*
 * How long the guest may keep what it has read. Attributes and names, and that there is no such name, hold for a time. At
 * each open(2) of the guest it is told whether what it has read of the file before is still right.
 */
#ifndef VS_FILES_CACHE_H
#define VS_FILES_CACHE_H

#include "files/node.h"

#include <stdint.h>

/* How long attributes and names hold. */
uint64_t cache_seconds(const struct files *files);

/* Whether the guest keeps the targets of symbolic links. It does so as long as it knows the link. */
int cache_keeps_links(const struct files *files);

/*
 * Flags for a file or directory that the guest opens, FOPEN_….  @descriptor what was opened.
 */
uint32_t cache_open_flags(const struct files *files, struct node *node, int descriptor, const struct status *status);

#endif
