/*
 * What the guest can ask for. Each operation reads the arguments of its request, makes a reply, and returns 0 or the error
 * that the guest gets. `node` is the one that the request names.
 */
#ifndef VS_FILES_OPERATIONS_H
#define VS_FILES_OPERATIONS_H

#include "files/nodes.h"
#include "files/request.h"

typedef int (*operation)(struct files *files, struct node *node, const struct request *request, struct reply *reply);

/* lookup.c */
int operation_lookup(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_getattr(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_readlink(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_statfs(struct files *files, struct node *node, const struct request *request, struct reply *reply);

/* open.c */
int operation_open(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_read(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_lseek(struct files *files, struct node *node, const struct request *request, struct reply *reply);
/* Of a directory too. */
int operation_release(struct files *files, struct node *node, const struct request *request, struct reply *reply);

/* directory.c */
int operation_opendir(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_readdir(struct files *files, struct node *node, const struct request *request, struct reply *reply);
int operation_readdirplus(struct files *files, struct node *node, const struct request *request, struct reply *reply);

#endif
