/*
 * System calls that virtiofsd is refused, and that its own filter leaves it: file handles, which open all files of a file
 * system, and user namespaces, in which it would have every capability.
 */
#ifndef VS_CALLS_H
#define VS_CALLS_H

#include <stdbool.h>

/*
 * Refuses them to this process from now on. It needs no_new_privs. @handles: file handles are left to it. Returns what
 * failed, with errno, or NULL.
 */
const char *calls_refuse(bool handles);

#endif
