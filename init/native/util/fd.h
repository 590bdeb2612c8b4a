/* File descriptors and pipes. */
#ifndef VS_FD_H
#define VS_FD_H

#include <stddef.h>

/* Closes *fd if it is open, and marks it closed. */
void fd_close(int *fd);

/* Duplicates `fd` with close-on-exec. */
int fd_dup(int fd);

/* Opens a close-on-exec pipe, large if the kernel allows it. The end `parent_end` (0 or 1) is non-blocking. */
int fd_pipe(int ends[2], int parent_end);

/* Points descriptors 0 to 2 at /dev/null where they are free, so that no other file is taken for a standard stream. */
void fd_fill_standard(void);

#endif
