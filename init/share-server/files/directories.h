/*
 * Descriptors of directories, from which everything else is found by one name. Those that were used last are kept; others
 * are opened again when they are needed.
 */
#ifndef VS_FILES_DIRECTORIES_H
#define VS_FILES_DIRECTORIES_H

#include "files/node.h"

/*
 * A descriptor of the directory, which only names it (O_PATH). It stays until the next call. Returns 0 or an error:
 * ENOTDIR; ESTALE: it is not where it was found, and the guest has to look for it again.
 */
int directories_descriptor(struct files *files, struct node *node, int *descriptor);

/* Closes the directory's descriptor, if it has one. */
void directories_drop(struct files *files, struct node *node);

/*
 * Asks about the file where it was found, without following it. Returns 0 or an error; ESTALE: there is another file
 * now, or none.
 */
int directories_status(struct files *files, struct node *node, struct status *status);

/*
 * Opens the file where it was found, with these flags, without following it, and checks that it is the same. Returns 0
 * or an error, as directories_status() does.
 */
int directories_open(struct files *files, struct node *node, int flags, int *descriptor, struct status *status);

/* What has become of a file that is not where it was found. */
int directories_error(int error);

#endif
