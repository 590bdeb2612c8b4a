/* The system calls that the application of a container may make. */
#ifndef VS_SYSCALLS_H
#define VS_SYSCALLS_H

#include <stdbool.h>

/*
 * Confines this process and what it becomes, for good; it must have no_new_privs or CAP_SYS_ADMIN. `user_namespaces`: it
 * may make them, and what only their root can do is left to the kernel to refuse. `roots`: it may change its root, with
 * CAP_SYS_CHROOT. Returns 0, or -1 with errno.
 */
int syscalls_confine(bool user_namespaces, bool roots);

#endif
