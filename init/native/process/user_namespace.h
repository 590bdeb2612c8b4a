/*
 * The user namespace of a container's application. Its ids are ids of the host that belong to nobody, so its root has
 * none of the host's files. Process 1 stays outside. user_namespaces(7)
 */
#ifndef VS_USER_NAMESPACE_H
#define VS_USER_NAMESPACE_H

#include "shared/id_namespace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel takes as many ranges of each kind, but no more text than a page. */
#define USER_NAMESPACE_MAX_RANGES 340

/*
 * Makes the namespace. From now on this process makes files that belong to the namespace's root, and keeps its
 * capabilities. Returns 0, or an errno value and in *step what failed.
 */
int user_namespace_make(const struct id_range *uids, size_t uid_count, const struct id_range *gids, size_t gid_count,
			const char **step);

/* The namespace, open until the end; -1 if there is none. */
int user_namespace_fd(void);

/*
 * The id outside of one that the host sent; the same if there is no namespace. An id that the namespace lacks gives
 * UINT32_MAX, which chown(2) takes for no change.
 */
uint32_t user_namespace_uid(uint32_t inside);
uint32_t user_namespace_gid(uint32_t inside);

#endif
