#include "confine.h"

#include "log.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

bool confine_to_user(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0)
		return true;
	log_errno("becoming another user");
	return false;
}

/* Sanitizers make calls of their own. */
#ifdef VS_TEST
bool confine_to_relay(void)
{
	return true;
}
#else
/* SENDTO, RECVFROM: send() and recv(). The last two: a call that a signal or a stop has interrupted goes on. */
static const uint32_t allowed[] = {
	SYS_poll, SYS_recvfrom, SYS_sendto,     SYS_write,        SYS_close,           SYS_wait4,
	SYS_kill, SYS_exit,     SYS_exit_group, SYS_rt_sigreturn, SYS_restart_syscall,
};

#define ALLOWED (sizeof(allowed) / sizeof(*allowed))

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

bool confine_to_relay(void)
{
	/* Behind a jump that is not taken stands the next one; a jump that is taken leads to the last instruction. */
	struct sock_filter code[4 + ALLOWED + 2] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	for (size_t i = 0; i < ALLOWED; i++) {
		struct sock_filter jump = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (uint8_t)(ALLOWED - i), 0);

		code[4 + i] = jump;
	}
	code[4 + ALLOWED] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
	code[4 + ALLOWED + 1] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return true;
	log_errno("seccomp");
	return false;
}
#endif
