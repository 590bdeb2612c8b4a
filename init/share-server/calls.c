#include "calls.h"

#include "architecture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The lower half of the flags, on a little-endian processor. */
#define FLAGS offsetof(struct seccomp_data, args[0])

#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define UNLESS(call, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, (skipped))
#define REFUSED (SECCOMP_RET_ERRNO | EPERM)

const char *calls_refuse(bool handles)
{
	struct sock_filter filter[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		/* Another architecture's system calls have other numbers, and virtiofsd makes none. */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_FIRST, 0, 1),
		RETURN(REFUSED),
		UNLESS(SYS_open_by_handle_at, 1),
		RETURN(handles ? SECCOMP_RET_ALLOW : REFUSED),
		/* Its flags are in memory. libc goes on with clone(2) for its threads. */
		UNLESS(SYS_clone3, 1),
		RETURN(SECCOMP_RET_ERRNO | ENOSYS),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
		UNLESS(SYS_unshare, 3),
		LOAD(FLAGS),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 0, 1),
		RETURN(REFUSED),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? NULL : "prctl(PR_SET_SECCOMP)";
}
