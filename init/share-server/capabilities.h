/* capabilities(7) of this process and of what it executes. */
#ifndef VS_CAPABILITIES_H
#define VS_CAPABILITIES_H

#include <linux/capability.h>
#include <stdint.h>

/* virtiofsd changes its root and its capabilities when it starts, and drops these before it serves. */
#define CAPABILITIES_OF_START ((UINT64_C(1) << CAP_SYS_CHROOT) | (UINT64_C(1) << CAP_SETPCAP))

/* Lets nothing that this process executes have a capability but these. NULL, or what failed with errno. */
const char *capabilities_bound(uint64_t kept);

/* Leaves this process none. NULL, or what failed with errno. */
const char *capabilities_drop(void);

/*
 * Leaves this process no capability but `serving` and `starting`, for good: what it executes cannot have others
 * either. NULL, or what failed with errno.
 */
const char *capabilities_limit(uint64_t serving, uint64_t starting);

#endif
