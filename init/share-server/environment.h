/* The environment that this process was started with, which may have a user's keys in it. */
#ifndef VS_ENVIRONMENT_H
#define VS_ENVIRONMENT_H

/* Leaves nothing of it in memory. */
void environment_wipe(void);

#endif
