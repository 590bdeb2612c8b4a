/*
 * virtiofsd keeps a descriptor for every file that the guest has looked at, or a file handle, which counts for no
 * limit. A handle opens any file of the share's file system, in the share or not (open_by_handle_at(2)). So handles
 * are only used where the limit of descriptors cannot be raised, and are refused elsewhere.
 */
#ifndef VS_DESCRIPTORS_H
#define VS_DESCRIPTORS_H

#include <stdbool.h>

/* As many files as virtiofsd itself asks for. */
#define DESCRIPTORS_ENOUGH 1000000UL

/* Raises RLIMIT_NOFILE to DESCRIPTORS_ENOUGH if this process may. Returns what it is then. */
unsigned long descriptors_raise(void);

/* Closes every descriptor behind the standard streams but one. False with errno if that fails. */
bool descriptors_close_but(int kept);

#endif
