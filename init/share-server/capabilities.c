#include "capabilities.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than any kernel has: capabilities fit into 64 bits. */
#define CAPABILITIES 64

const char *capabilities_bound(uint64_t kept)
{
	for (int number = 0; number < CAPABILITIES; number += 1) {
		if (kept & (UINT64_C(1) << number))
			continue;
		/* EINVAL: the kernel has no such capability. */
		if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0 && errno != EINVAL)
			return "prctl(PR_CAPBSET_DROP)";
	}
	return NULL;
}

const char *capabilities_limit(uint64_t serving, uint64_t starting)
{
	const uint64_t kept = serving | starting;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	const char *failed = capabilities_bound(kept);

	if (failed != NULL)
		return failed;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return "prctl(PR_CAP_AMBIENT)";
	if (syscall(SYS_capget, &header, data) != 0)
		return "capget";
	for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; word += 1) {
		uint32_t part = (uint32_t)(kept >> (32 * word));

		data[word].effective &= part;
		data[word].permitted &= part;
		data[word].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) != 0)
		return "capset";
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? NULL : "prctl(PR_SET_NO_NEW_PRIVS)";
}

const char *capabilities_drop(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}, {0}};

	return syscall(SYS_capset, &header, none) == 0 ? NULL : "capset";
}
