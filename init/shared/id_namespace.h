/* A user namespace that only says which ids belong together: for idmapped mounts. user_namespaces(7) */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Ids from `inside` on are, outside, those from `outside` on. */
struct id_range {
	uint32_t inside;
	uint32_t outside;
	uint32_t count;
};

/*
 * Makes the namespace. No process is in it. Returns a descriptor of it, or -1 with errno set and in *step what failed.
 */
int id_namespace_open(const struct id_range *uids, size_t uid_count, const struct id_range *gids, size_t gid_count,
		      const char **step);
