#include "calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than some C libraries. */
#define NR_FCHMODAT2 452
#define NR_SETXATTRAT 463
#define NR_REMOVEXATTRAT 466
#define NR_FILE_SETATTR 469

#define X32_BIT 0x40000000

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* QEMU does without io_uring where a kernel has none. It would make the other calls unseen. */
static const uint32_t always[] = {
	/* Makes system calls that no filter sees. */
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	/* Keys of the user. */
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	/* Memory, messages and semaphores of the user's other programs. */
	SYS_shmget,
	SYS_shmat,
	SYS_shmctl,
	SYS_msgget,
	SYS_msgsnd,
	SYS_msgrcv,
	SYS_msgctl,
	SYS_semget,
	SYS_semop,
	SYS_semtimedop,
	SYS_semctl,
	SYS_mq_open,
	SYS_mq_unlink,
	/* Memory and files of the user's other programs, which Landlock refuses too where there is one. */
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_pidfd_getfd,
	SYS_kcmp,
	/* How much time they get. */
	SYS_setpriority,
	SYS_ioprio_set,
};

/* Calls for any process of the user, whose first argument is a process. A limit of time on one kills it. */
static const uint32_t own_only[] = {
	SYS_prlimit64, SYS_sched_setattr, SYS_sched_setaffinity, SYS_sched_setscheduler, SYS_sched_setparam,
};

static const uint32_t metadata[] = {
	SYS_chmod,        SYS_fchmod,       SYS_fchmodat,    NR_FCHMODAT2,  SYS_chown,       SYS_fchown,
	SYS_lchown,       SYS_fchownat,     SYS_utime,       SYS_utimes,    SYS_futimesat,   SYS_utimensat,
	SYS_setxattr,     SYS_lsetxattr,    SYS_fsetxattr,   NR_SETXATTRAT, SYS_removexattr, SYS_lremovexattr,
	SYS_fremovexattr, NR_REMOVEXATTRAT, NR_FILE_SETATTR,
};

/* The type of a socket; the bits above are flags. */
#define SOCKET_TYPE 0xf

/*
 * The loads and checks before the lists; two instructions for each call that is refused, five for each that is for
 * itself only, two for socket(2) and six for socketpair(2); one to allow the rest.
 */
#define MOST (6 + 2 * (COUNT(always) + COUNT(metadata)) + 5 * COUNT(own_only) + 2 + 6 + 1)

struct program {
	struct sock_filter code[MOST];
	unsigned short length;
};

static void add(struct program *program, struct sock_filter instruction)
{
	program->code[program->length++] = instruction;
}

static void refuse(struct program *program)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES));
}

static void refuse_all(struct program *program, const uint32_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1));
		refuse(program);
	}
}

static void allow(struct program *program)
{
	add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

/* The low half of an argument: of a pid_t or an int the kernel looks at no more. */
static void load_argument(struct program *program, int index)
{
	add(program,
	    (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) +
									      (size_t)index * sizeof(uint64_t))));
}

/* Process 0 is whoever calls. */
static void refuse_for_others(struct program *program, uint32_t number)
{
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4));
	load_argument(program, 0);
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1));
	allow(program);
	refuse(program);
}

/* A pair of streams is connected for good. Either end of any other can send to each socket that has a name. */
static void refuse_sockets(struct program *program)
{
	static const uint32_t new_socket[] = {SYS_socket};

	refuse_all(program, new_socket, COUNT(new_socket));
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 5));
	load_argument(program, 1);
	add(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE));
	add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 1));
	allow(program);
	refuse(program);
}

int calls_refuse(const struct calls *calls)
{
	struct program program = {.length = 0};

	/* Other kinds of calls have other numbers. QEMU makes none. */
	add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
	add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	refuse(&program);
	add(&program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
	add(&program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 0, 1));
	refuse(&program);
	refuse_all(&program, always, COUNT(always));
	if (calls->metadata)
		refuse_all(&program, metadata, COUNT(metadata));
	for (size_t i = 0; i < COUNT(own_only); i++)
		refuse_for_others(&program, own_only[i]);
	if (calls->sockets)
		refuse_sockets(&program);
	allow(&program);

	const struct sock_fprog filter = {.len = program.length, .filter = program.code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
