/* The system calls that kill-at knows. */
#ifndef VS_KILL_AT_CALLS_H
#define VS_KILL_AT_CALLS_H

#include <sys/syscall.h>

static const struct call {
	const char *name;
	long number;
} calls[] = {
	{"chmod", __NR_chmod},         {"chown", __NR_chown},
	{"connect", __NR_connect},     {"copy_file_range", __NR_copy_file_range},
	{"fallocate", __NR_fallocate}, {"fchmod", __NR_fchmod},
	{"fchmodat", __NR_fchmodat},   {"fchown", __NR_fchown},
	{"fchownat", __NR_fchownat},   {"fdatasync", __NR_fdatasync},
	{"flock", __NR_flock},         {"fsconfig", __NR_fsconfig},
	{"fsync", __NR_fsync},         {"ftruncate", __NR_ftruncate},
	{"ioctl", __NR_ioctl},         {"kill", __NR_kill},
	{"lchown", __NR_lchown},       {"link", __NR_link},
	{"linkat", __NR_linkat},       {"lsetxattr", __NR_lsetxattr},
	{"mkdir", __NR_mkdir},         {"mkdirat", __NR_mkdirat},
	{"mount", __NR_mount},         {"move_mount", __NR_move_mount},
	{"openat", __NR_openat},       {"pidfd_send_signal", __NR_pidfd_send_signal},
	{"pwrite64", __NR_pwrite64},   {"pwritev", __NR_pwritev},
	{"rename", __NR_rename},       {"renameat2", __NR_renameat2},
	{"rmdir", __NR_rmdir},         {"sendfile", __NR_sendfile},
	{"setxattr", __NR_setxattr},   {"fsetxattr", __NR_fsetxattr},
	{"shutdown", __NR_shutdown},   {"symlink", __NR_symlink},
	{"symlinkat", __NR_symlinkat}, {"syncfs", __NR_syncfs},
	{"umount2", __NR_umount2},     {"unlink", __NR_unlink},
	{"unlinkat", __NR_unlinkat},   {"utimensat", __NR_utimensat},
	{"write", __NR_write},
};

#endif
