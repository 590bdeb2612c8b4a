/* All that the guest knows: nodes by their numbers, and by which file they are. */
#ifndef VS_FILES_NODES_H
#define VS_FILES_NODES_H

#include "files/node.h"

/* The node of a number that the guest has named; NULL: it does not know one. */
struct node *node_of(const struct files *files, uint64_t id);

/* The node of the root, which the guest knows from the start. NULL if there is no memory. */
struct node *node_make_root(struct files *files, const struct status *status);

/*
 * The node of what was found as `name` in a directory. The guest is told of it: node_forget() takes that back. NULL with
 * *error: there are too many.
 */
struct node *node_find(struct files *files, struct node *parent, const char *name, const struct status *status,
		       int *error);

/* The guest has forgotten it so many times. It may be gone then. */
void node_forget(struct files *files, struct node *node, uint64_t times);

/* Frees it, and its parents, if nothing needs them any more. */
void node_release(struct files *files, struct node *node);

/* Frees all of them but the root. None may be open. */
void node_forget_all(struct files *files);

/* The same, and the root. */
void node_free_all(struct files *files);

#endif
