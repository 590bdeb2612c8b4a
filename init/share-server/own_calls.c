#include "own_calls.h"

#include "architecture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The lower half of an argument, on a little-endian processor. */
#define ARGUMENT(number) (offsetof(struct seccomp_data, args) + (number) * sizeof(__u64))

#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define REFUSED (SECCOMP_RET_ERRNO | EPERM)

#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), RETURN(SECCOMP_RET_ALLOW)
/* If none of these bits is in the argument. */
#define ALLOW_WITHOUT(call, argument, bits)                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), LOAD(ARGUMENT(argument)), \
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, 1), RETURN(REFUSED), RETURN(SECCOMP_RET_ALLOW)
/* If the argument is this one. */
#define ALLOW_WITH(call, argument, value)                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 4), LOAD(ARGUMENT(argument)), \
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 1, 0), RETURN(REFUSED), RETURN(SECCOMP_RET_ALLOW)

const char *own_calls_allow(void)
{
	struct sock_filter filter[] = {
		LOAD(offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(offsetof(struct seccomp_data, nr)),
		/* Files, by far the most first. */
		ALLOW(statx),
		ALLOW(preadv),
		ALLOW_WITHOUT(openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND),
		ALLOW(close),
		ALLOW(getdents64),
		ALLOW(readlinkat),
		ALLOW(fstatfs),
		ALLOW(lseek),
		ALLOW_WITH(ioctl, 1, FS_IOC_FIEMAP),
		ALLOW_WITH(fcntl, 1, F_DUPFD_CLOEXEC),
		ALLOW(fstat),
		ALLOW(newfstatat),
		/* QEMU and its guest. */
		ALLOW(ppoll),
		ALLOW(read),
		ALLOW(write),
		ALLOW(writev),
		ALLOW(recvmsg),
		/* Memory. */
		ALLOW_WITHOUT(mmap, 2, PROT_EXEC),
		ALLOW_WITHOUT(mprotect, 2, PROT_EXEC),
		ALLOW(munmap),
		ALLOW(mremap),
		ALLOW(madvise),
		ALLOW(brk),
		/* The C library. */
		ALLOW(clock_gettime),
		ALLOW(getrandom),
		ALLOW(futex),
		ALLOW(restart_syscall),
		ALLOW(rt_sigprocmask),
		ALLOW(rt_sigreturn),
		ALLOW(exit),
		ALLOW(exit_group),
#ifdef SYS_poll
		ALLOW(poll),
#endif
		RETURN(REFUSED),
	};
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? NULL : "prctl(PR_SET_SECCOMP)";
}
