/* Takes rights away from this process. */
#ifndef VS_CONFINE_H
#define VS_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

/* Becomes that user for good, without other groups. False after a message on stderr. */
bool confine_to_user(uid_t uid, gid_t gid);

/* From here on only what carrying frames takes is allowed; anything else kills the process. False after a message. */
bool confine_to_relay(void);

#endif
