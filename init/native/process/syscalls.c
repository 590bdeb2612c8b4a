/*
 * A filter of system calls, for a kernel that is the host's. It refuses what reaches beyond a container, and what an
 * application without capabilities has no use for and kernels have often had holes in. seccomp(2)
 */
#include "process/syscalls.h"

#include "util/macros.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define PERSONALITY_QUERY 0xffffffff
#define UNAME26 0x0020000
#define PER_LINUX32 0x0008

/* Newer than some C libraries. */
#define NR_QUOTACTL_FD 443
/* The last one that was judged. A program that gets ENOSYS for a newer one takes this for an older kernel. */
#define NR_REMOVEXATTRAT 466

#ifndef TIOCLINUX
#define TIOCLINUX 0x541c
#endif

struct rule {
	uint32_t number;
	int error;
};

/* ENOSYS where a program does without the call if the kernel lacks it. */
static const struct rule refused[] = {
	/* The kernel itself: its code, other kernels, its clock, its log, restart. */
	{SYS_init_module, EPERM},
	{SYS_finit_module, EPERM},
	{SYS_delete_module, EPERM},
	{SYS_kexec_load, EPERM},
	{SYS_kexec_file_load, EPERM},
	{SYS_bpf, EPERM},
	{SYS_perf_event_open, EPERM},
	{SYS_settimeofday, EPERM},
	{SYS_clock_settime, EPERM},
	{SYS_syslog, EPERM},
	{SYS_reboot, EPERM},
	{SYS_acct, EPERM},
	{SYS_swapon, EPERM},
	{SYS_swapoff, EPERM},
	{SYS_quotactl, EPERM},
	{NR_QUOTACTL_FD, EPERM},
	{SYS_iopl, EPERM},
	{SYS_ioperm, EPERM},
	/* Files by number instead of by path, which leads around every mount. */
	{SYS_open_by_handle_at, EPERM},
	/* Keys, which belong to users and not to containers. */
	{SYS_keyctl, EPERM},
	{SYS_add_key, EPERM},
	{SYS_request_key, EPERM},
	/* Stops the kernel in the middle of a copy. */
	{SYS_userfaultfd, EPERM},
	/* Makes system calls that no filter sees. */
	{SYS_io_uring_setup, ENOSYS},
	{SYS_io_uring_enter, ENOSYS},
	{SYS_io_uring_register, ENOSYS},
	/* Obsolete. */
	{SYS_lookup_dcookie, ENOSYS},
	{SYS_nfsservctl, ENOSYS},
	{SYS_create_module, ENOSYS},
	{SYS_get_kernel_syms, ENOSYS},
	{SYS_query_module, ENOSYS},
	{SYS__sysctl, ENOSYS},
	{SYS_uselib, ENOSYS},
	{SYS_ustat, ENOSYS},
	{SYS_sysfs, ENOSYS},
	{SYS_vhangup, EPERM},
};

/* What root of a user namespace may do in namespaces of its own. */
static const struct rule of_namespaces[] = {
	{SYS_mount, EPERM},
	{SYS_umount2, EPERM},
	{SYS_pivot_root, EPERM},
	{SYS_open_tree, EPERM},
	{SYS_move_mount, EPERM},
	{SYS_fsopen, EPERM},
	{SYS_fsconfig, EPERM},
	{SYS_fsmount, EPERM},
	{SYS_fspick, EPERM},
	{SYS_mount_setattr, EPERM},
	{SYS_setns, EPERM},
	{SYS_sethostname, EPERM},
	{SYS_setdomainname, EPERM},
	/* Its flags are in memory, where a filter cannot see them. C libraries then use clone(2). */
	{SYS_clone3, ENOSYS},
	/* The last one: some may. */
	{SYS_chroot, EPERM},
};

/* Instructions: two for each rule, and those for arguments and architecture. */
#define MAX_INSTRUCTIONS (2 * (ARRAY_LENGTH(refused) + ARRAY_LENGTH(of_namespaces)) + 64)

struct program {
	struct sock_filter code[MAX_INSTRUCTIONS];
	unsigned short length;
};

#define LOAD(field) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)))
#define ANSWER(value) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value))
#define FAIL(error) ANSWER(SECCOMP_RET_ERRNO | (error))
#define ALLOW ANSWER(SECCOMP_RET_ALLOW)
/* Skips `yes` instructions if the comparison holds, else `no`. */
#define JUMP(comparison, value, yes, no) ((struct sock_filter)BPF_JUMP(BPF_JMP | (comparison) | BPF_K, value, yes, no))

static void add(struct program *program, struct sock_filter instruction)
{
	program->code[program->length++] = instruction;
}

static void refuse(struct program *program, const struct rule *rules, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		add(program, JUMP(BPF_JEQ, rules[i].number, 0, 1));
		add(program, FAIL((uint32_t)rules[i].error));
	}
}

/*
 * Refuses a call whose argument compares so with the value, and loads its number again. Only the low half is looked at:
 * the kernel takes these arguments as 32 bits.
 */
#define ARGUMENT_INSTRUCTIONS 4
static void refuse_argument(struct program *program, uint32_t number, int argument, int comparison, uint32_t value)
{
	add(program, JUMP(BPF_JEQ, number, 0, ARGUMENT_INSTRUCTIONS));
	add(program,
	    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) +
									      (size_t)argument * sizeof(uint64_t))));
	add(program, JUMP((unsigned short)comparison, value, 0, 1));
	add(program, FAIL(EPERM));
	add(program, LOAD(nr));
}

/* Lets a program look like one of an older or a 32-bit kernel, and nothing else of personality(2). */
static void limit_personality(struct program *program)
{
	static const uint32_t allowed[] = {0, PER_LINUX32, UNAME26, UNAME26 | PER_LINUX32, PERSONALITY_QUERY};

	add(program, JUMP(BPF_JEQ, SYS_personality, 0, 2 + 2 * ARRAY_LENGTH(allowed)));
	add(program, LOAD(args[0]));
	for (size_t i = 0; i < ARRAY_LENGTH(allowed); i++) {
		add(program, JUMP(BPF_JEQ, allowed[i], 0, 1));
		add(program, ALLOW);
	}
	add(program, FAIL(EPERM));
}

/*
 * Lets a program make sockets of the families that programs use. Others load modules of the host (AF_ALG, AF_RDS,
 * AF_TIPC), or lead past the network namespace to the hypervisor (AF_VSOCK).
 */
static void limit_sockets(struct program *program)
{
	static const uint32_t allowed[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};

	add(program, JUMP(BPF_JEQ, SYS_socket, 0, 2 + 2 * ARRAY_LENGTH(allowed)));
	add(program, LOAD(args[0]));
	for (size_t i = 0; i < ARRAY_LENGTH(allowed); i++) {
		add(program, JUMP(BPF_JEQ, allowed[i], 0, 1));
		add(program, ALLOW);
	}
	add(program, FAIL(EAFNOSUPPORT));
}

static void build(struct program *program, bool user_namespaces, bool roots)
{
	/* System calls of other kinds have other numbers. */
	add(program, LOAD(arch));
	add(program, JUMP(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0));
	add(program, FAIL(ENOSYS));
	add(program, LOAD(nr));
	/* Those of x32 are above it too. */
	add(program, JUMP(BPF_JGT, NR_REMOVEXATTRAT, 0, 1));
	add(program, FAIL(ENOSYS));
	refuse(program, refused, ARRAY_LENGTH(refused));
	if (!user_namespaces) {
		refuse(program, of_namespaces, ARRAY_LENGTH(of_namespaces) - roots);
		refuse_argument(program, SYS_clone, 0, BPF_JSET, CLONE_NEWUSER);
		refuse_argument(program, SYS_unshare, 0, BPF_JSET, CLONE_NEWUSER);
	}
	/* Types into a terminal as if its user did. */
	refuse_argument(program, SYS_ioctl, 1, BPF_JEQ, TIOCSTI);
	refuse_argument(program, SYS_ioctl, 1, BPF_JEQ, TIOCLINUX);
	limit_sockets(program);
	limit_personality(program);
	add(program, ALLOW);
}

int syscalls_confine(bool user_namespaces, bool roots)
{
	static struct program program;
	struct sock_fprog filter = {.filter = program.code};

	program.length = 0;
	build(&program, user_namespaces, roots);
	filter.len = program.length;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}
