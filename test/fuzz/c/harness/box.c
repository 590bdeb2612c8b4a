#include "harness/box.h"

#include "harness/check.h"
#include "harness/memory.h"
#include "harness/state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Ids of the host from here on belong to nobody. */
#define FIRST_ID 0x70000000U
#define ID_COUNT 65536

/* Addresses and routes of one network add up. */
#define RUNS_PER_BOX 20000

/* How long to wait before looking whether the box still lives, in nanoseconds. */
#define LOOK_NS 100000000

#define PROGRAM_BYTES 262144

/* The descriptor of the first root; what is above is the program's under test. */
#define FIRST_ROOT_FD 3

#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)

enum turn { OUTSIDE, INSIDE };

static struct shared {
	/* Whose turn it is: a futex, because a descriptor could be opened by an input, through /proc. */
	uint32_t turn;
	size_t size;
	uint8_t input[BOX_INPUT_BYTES];
} * shared;

static pid_t box_pid;
static unsigned runs;
static uint8_t program[PROGRAM_BYTES];
static size_t program_size;

pid_t __real_fork(void);
int __real_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);

static void pass_turn(enum turn turn)
{
	__atomic_store_n(&shared->turn, turn, __ATOMIC_SEQ_CST);
	(void)syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Waits at most LOOK_NS. True when it is this one's turn. */
static bool await_turn(enum turn turn)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	uint32_t other = turn == OUTSIDE ? INSIDE : OUTSIDE;

	if (__atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST) == other)
		(void)syscall(SYS_futex, &shared->turn, FUTEX_WAIT, other, &look, NULL, 0);
	return __atomic_load_n(&shared->turn, __ATOMIC_SEQ_CST) == turn;
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	(void)close(fd);
}

/* Root of the host becomes a user that owns nothing; another user stays the only one. */
static void map_ids(pid_t pid, uid_t uid, gid_t gid)
{
	char path[64];
	char map[64];
	bool is_root = uid == 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	if (!is_root)
		write_text(path, "deny");
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	(void)snprintf(map, sizeof(map), "0 %u %u\n", is_root ? FIRST_ID : uid, is_root ? ID_COUNT : 1U);
	write_text(path, map);
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	(void)snprintf(map, sizeof(map), "0 %u %u\n", is_root ? FIRST_ID : gid, is_root ? ID_COUNT : 1U);
	write_text(path, map);
}

static void die_with_parent(void)
{
	check(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0, "this process dies with its parent");
}

/* The first root: nothing but /proc, and the directory that becomes the root of each run. */
static void make_first_root(void)
{
	check(__real_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mounts are private");
	check(__real_mount("tmpfs", "/tmp", "tmpfs", 0, "size=1m,mode=755") == 0, "a first root");
	check(chdir("/tmp") == 0 && mkdir("proc", 0755) == 0 && mkdir(&BOX_ROOT[1], 0755) == 0, "its directories");
	check(__real_mount("proc", "proc", "proc", 0, NULL) == 0, "/proc can be mounted");
	check(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0,
	      "the host's files go");
}

/* The fuzzer's handlers of signals are none of the box's business. Sanitizers keep theirs. */
static void forget_handlers(void)
{
	static const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGXFSZ, SIGABRT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		(void)signal(signals[i], SIG_DFL);
}

static void limit(void)
{
	const struct rlimit none = {0, 0};
	const struct rlimit file = {1 << 20, 1 << 20};
	const struct rlimit files = {256, 256};

	check(setrlimit(RLIMIT_CORE, &none) == 0 && setrlimit(RLIMIT_FSIZE, &file) == 0 &&
		      setrlimit(RLIMIT_NOFILE, &files) == 0,
	      "limits");
}

/* Descriptors of the fuzzer are none of the box's business, but for the messages of sanitizers. */
static void keep_only_messages(void)
{
	int null = open("/dev/null", O_RDWR);

	check(null >= 0 && dup2(null, STDIN_FILENO) == STDIN_FILENO && dup2(null, STDOUT_FILENO) == STDOUT_FILENO,
	      "/dev/null");
	check(syscall(SYS_close_range, FIRST_ROOT_FD, ~0U, 0) == 0, "other descriptors are closed");
}

static _Noreturn void serve(const struct box *box)
{
	check(getpid() == 1, "this process is the first of its namespace");
	forget_handlers();
	die_with_parent();
	memory_keep_from_children();
	make_first_root();
	check(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) == FIRST_ROOT_FD, "the first root is kept");
	box->prepare();
	limit();
	pass_turn(OUTSIDE);
	for (;;) {
		if (!await_turn(INSIDE))
			continue;
		box->run(shared->input, shared->size);
		state_check_children();
		pass_turn(OUTSIDE);
	}
}

/* Makes the namespaces. The process that is first in them is its child, and its end is the end of this one. */
static _Noreturn void enter(const struct box *box, int maps_wanted, int maps_written)
{
	int status = 0;
	char byte = 0;
	pid_t pid;

	check_by_exit();
	die_with_parent();
	check(unshare(NAMESPACES) == 0, "namespaces can be made");
	check(write(maps_wanted, &byte, 1) == 1 && read(maps_written, &byte, 1) == 1, "ids are mapped");
	check(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "this process becomes root inside");
	/* A change of user takes it back. */
	die_with_parent();
	check(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0, "its /proc is its own");
	keep_only_messages();
	pid = __real_fork();
	check(pid >= 0, "fork");
	if (pid == 0)
		serve(box);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void read_program(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? -1 : read(fd, program, sizeof(program));

	check(size > 0 && size < (ssize_t)sizeof(program), path);
	program_size = (size_t)size;
	(void)close(fd);
}

static void start(const struct box *box)
{
	int wanted[2];
	int written[2];
	char byte = 0;

	if (shared == NULL) {
		read_program(box->program);
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		check(shared != MAP_FAILED, "shared memory");
		state_share_coverage();
	}
	shared->turn = INSIDE;
	shared->size = 0;
	check(pipe2(wanted, O_CLOEXEC) == 0 && pipe2(written, O_CLOEXEC) == 0, "pipes");
	box_pid = __real_fork();
	check(box_pid >= 0, "fork");
	if (box_pid == 0) {
		/* While the box starts, it is its turn, and nobody waits for it inside. */
		enter(box, wanted[1], written[0]);
	}
	(void)close(wanted[1]);
	check(read(wanted[0], &byte, 1) == 1, "the box begins");
	map_ids(box_pid, geteuid(), getegid());
	check(write(written[1], &byte, 1) == 1, "the box goes on");
	(void)close(wanted[0]);
	(void)close(written[0]);
	(void)close(written[1]);
	runs = 0;
}

static void await_box(void)
{
	while (!await_turn(OUTSIDE)) {
		int status;

		check(waitpid(box_pid, &status, WNOHANG) == 0, "the box lives");
	}
}

void box_run(const struct box *box, const uint8_t *data, size_t size)
{
	check(size <= BOX_INPUT_BYTES, "an input fits");
	if (box_pid != 0 && runs++ == RUNS_PER_BOX) {
		check(kill(box_pid, SIGKILL) == 0 && waitpid(box_pid, NULL, 0) == box_pid, "the box ends");
		box_pid = 0;
	}
	if (box_pid == 0) {
		start(box);
		await_box();
	}
	memcpy(shared->input, data, size);
	shared->size = size;
	pass_turn(INSIDE);
	await_box();
}

static void end_processes(void)
{
	check(getpid() == 1, "this is the box");
	/* For process 1: all others of its namespace. */
	if (kill(-1, SIGKILL) != 0)
		check(errno == ESRCH, "kill");
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
}

static void make_file(const char *path, const void *content, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	check(fd >= 0 && write(fd, content, size) == (ssize_t)size && close(fd) == 0, path);
}

void box_clean(void)
{
	static const char *const directories[] = {"a", "a/b", "bin", "dev", "proc", "new", "tmp"};

	end_processes();
	check(syscall(SYS_close_range, FIRST_ROOT_FD + 1, ~0U, 0) == 0, "descriptors are closed");
	/* An operation may have changed the user that files belong to. */
	(void)setfsgid(0);
	(void)setfsuid(0);
	(void)umask(0);
	check(fchdir(FIRST_ROOT_FD) == 0 && chroot(".") == 0, "back to the first root");
	while (umount2(BOX_ROOT, MNT_DETACH) == 0)
		continue;
	check(__real_mount("tmpfs", BOX_ROOT, "tmpfs", 0, "size=4m,nr_inodes=4000,mode=755") == 0, "an empty root");
	check(chdir(BOX_ROOT) == 0, "it can be entered");
	for (size_t i = 0; i < sizeof(directories) / sizeof(*directories); i++)
		check(mkdir(directories[i], 0755) == 0, directories[i]);
	check(__real_mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) == 0, "/proc is there");
	make_file(BOX_PROGRAM, program, program_size, 0755);
	make_file("a/file", "content\n", 8, 0644);
	check(symlink("a/file", "link") == 0, "a link");
	check(chroot(".") == 0 && chdir("/") == 0, "it becomes the root");
}
