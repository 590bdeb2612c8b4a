#include "calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
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
};

static const uint32_t sockets[] = {SYS_socket};

static const uint32_t metadata[] = {
	SYS_chmod,        SYS_fchmod,       SYS_fchmodat,    NR_FCHMODAT2,  SYS_chown,       SYS_fchown,
	SYS_lchown,       SYS_fchownat,     SYS_utime,       SYS_utimes,    SYS_futimesat,   SYS_utimensat,
	SYS_setxattr,     SYS_lsetxattr,    SYS_fsetxattr,   NR_SETXATTRAT, SYS_removexattr, SYS_lremovexattr,
	SYS_fremovexattr, NR_REMOVEXATTRAT, NR_FILE_SETATTR,
};

/* The loads and checks before the list, and two instructions for each call, and one to allow the rest. */
#define MOST (8 + 2 * (COUNT(always) + COUNT(sockets) + COUNT(metadata)))

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
	if (calls->sockets)
		refuse_all(&program, sockets, COUNT(sockets));
	if (calls->metadata)
		refuse_all(&program, metadata, COUNT(metadata));
	add(&program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

	const struct sock_fprog filter = {.len = program.length, .filter = program.code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
}
