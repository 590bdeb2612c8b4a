/* The system calls of the server of a root, which has no others from then on. */
#ifndef VS_OWN_CALLS_H
#define VS_OWN_CALLS_H

/* Allows this process those, and refuses it all others. It needs no_new_privs. NULL, or what failed with errno. */
const char *own_calls_allow(void);

#endif
