/* Makes directories that have to exist. */
#ifndef VS_PATHS_H
#define VS_PATHS_H

#include <sys/types.h>

/*
 * Makes a directory and its missing parents (0755); an existing one keeps its mode. Modifies `path` meanwhile. -1 with
 * errno.
 */
int paths_make_directory(char *path, mode_t mode);
/* Makes the missing parents of `path`; otherwise as above. */
int paths_make_parents(char *path);

#endif
