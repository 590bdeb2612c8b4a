/* Directories that are to be there. */
#ifndef VS_PATHS_H
#define VS_PATHS_H

#include <sys/types.h>

/* Makes a directory and its missing parents (0755); one that exists keeps its mode. Changes `path` while it works. -1 with errno. */
int paths_make_directory(char *path, mode_t mode);
/* Makes the missing parents of `path`. */
int paths_make_parents(char *path);

#endif
