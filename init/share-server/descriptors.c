#include "descriptors.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the architecture's number for seccomp(2) is needed"
#endif

unsigned long descriptors_raise(void)
{
	const struct rlimit wanted = {.rlim_cur = DESCRIPTORS_ENOUGH, .rlim_max = DESCRIPTORS_ENOUGH};
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_max < DESCRIPTORS_ENOUGH && setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return DESCRIPTORS_ENOUGH;
	if (limit.rlim_max > DESCRIPTORS_ENOUGH)
		limit.rlim_max = DESCRIPTORS_ENOUGH;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

bool descriptors_close_but(int kept)
{
	const unsigned int first = STDERR_FILENO + 1, before = (unsigned int)kept - 1, after = (unsigned int)kept + 1;

	if (first <= before && syscall(SYS_close_range, first, before, 0) != 0)
		return false;
	return syscall(SYS_close_range, after, ~0U, 0) == 0;
}

const char *descriptors_refuse_handles(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		/* Another architecture's system calls have other numbers, and virtiofsd makes none. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open_by_handle_at, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? NULL : "prctl(PR_SET_SECCOMP)";
}
