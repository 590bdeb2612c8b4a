/* What the guest is told of a file. */
#ifndef VS_FILES_ATTRIBUTES_H
#define VS_FILES_ATTRIBUTES_H

#include "files/node.h"

#include <linux/fuse.h>

struct fuse_attr attributes_of(const struct files *files, const struct status *status);

/* A node as it was found in `parent`. */
struct fuse_entry_out attributes_entry(const struct files *files, const struct node *parent, const struct node *node,
				       const struct status *status);

#endif
