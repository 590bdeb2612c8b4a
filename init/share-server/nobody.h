/* Who owns a file in a user namespace that does not have its owner. */
#ifndef VS_NOBODY_H
#define VS_NOBODY_H

#include <sys/types.h>

uid_t nobody_user(void);
gid_t nobody_group(void);

#endif
