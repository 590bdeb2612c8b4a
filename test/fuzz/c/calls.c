/*
 * Calls of a host to the native init, carried out: files, mounts, addresses, programs, switched roots. All of it happens
 * in a box (harness/box.h), where the init is process 1, as in a container.
 *
 * What must hold: the init answers each call once and in order, comes back from each wait, and kills what it is to kill. Waits are cut short: where
 * nothing happens, the clock goes on by itself.
 */
#include "harness/box.h"
#include "harness/check.h"
#include "harness/frames.h"
#include "harness/input.h"
#include "harness/listener.h"
#include "harness/make_frame.h"
#include "harness/memory.h"
#include "harness/state.h"
#include "ops/dispatch.h"
#include "process/processes.h"
#include "serve/loop.h"
#include "transport/channel.h"
#include "transport/codec.h"
#include "transport/receiver.h"
#include "util/clock.h"
#include "util/platform.h"
#include "util/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for a process that was started before the clock goes on by itself, in milliseconds, and how often. */
#define PROCESS_MS 5
#define MOST_WAITS 3

/*
 * More processes than this cannot be started: to start one takes as long as a hundred other calls. For the same reason
 * most inputs start none: these bits of their first byte would all have to be 0.
 */
#define MOST_PROCESSES 3
#define NO_PROCESSES 0x70

/* clear_memory takes at most half of it, in bytes. */
#define FREE_MEMORY (4UL << 20)

static struct {
	struct input stream;
	int fd;
	uint64_t skew;
	uint32_t schedule;
	int processes;
	int most_processes;
	int waits;
	/* The process whose group was to be killed, and has none. */
	pid_t survivor;
	uint32_t serials[BOX_INPUT_BYTES / VS_HEADER_BYTES];
	size_t calls;
	size_t replies;
} host;

/* What a host that reads its own stream sees: the serial numbers of its calls. */
static void model(const uint8_t *data, size_t size)
{
	while (size >= VS_HEADER_BYTES) {
		struct packet_header header;

		header_decode(&header, data);
		if (header.length < VS_HEADER_BYTES || header.length > size)
			return;
		if (header.type == VS_TYPE_CALL)
			host.serials[host.calls++] = header.serial;
		data += header.length;
		size -= header.length;
	}
}

static void got_packet(const struct packet_header *header, const uint8_t *payload, size_t size)
{
	(void)payload;
	(void)size;
	/* Acknowledgements of input are replies to no call. */
	if (header->type != VS_TYPE_REPLY || header->proc == VS_PROC_STDIN)
		return;
	while (host.replies < host.calls && host.serials[host.replies] != header->serial)
		host.replies++;
	check(host.replies < host.calls, "replies come in order");
	host.replies++;
}

/* The host's turn: it sends a part of what is left, and reads what there is. */
static void host_step(void)
{
	static uint8_t data[65536];
	static const size_t sizes[] = {20, 64, 4096, 65536};
	size_t size = sizes[input_random(&host.schedule) % 4];
	ssize_t count;

	if (host.fd < 0)
		return;
	if (size > host.stream.left)
		size = host.stream.left;
	count = size == 0 ? 0 : send(host.fd, host.stream.at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count > 0) {
		host.stream.at += count;
		host.stream.left -= (size_t)count;
	}
	while ((count = recv(host.fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		listener_take(data, (size_t)count);
}

int __real_poll(struct pollfd *set, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *set, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *set, nfds_t count, int timeout)
{
	int ready;

	for (;;) {
		size_t left = host.stream.left;

		host_step();
		ready = __real_poll(set, count, 0);
		if (ready != 0 || timeout == 0)
			return ready;
		if (host.stream.left == left)
			break;
	}
	if (host.processes > 0 && host.waits++ < MOST_WAITS) {
		ready = __real_poll(set, count, timeout < 0 || timeout > PROCESS_MS ? PROCESS_MS : timeout);
		if (ready != 0)
			return ready;
	}
	if (timeout > 0) {
		host.skew += (uint64_t)timeout * MICROSECONDS_PER_MILLISECOND;
		return 0;
	}
	/* This wait has no end, so the host ends it. */
	check(host.fd >= 0, "without a host the init ends");
	/* A process that was just forked has it too. */
	(void)shutdown(host.fd, SHUT_RDWR);
	(void)close(host.fd);
	host.fd = -1;
	return __real_poll(set, count, 0);
}

uint64_t __wrap_clock_now(void);
uint64_t __wrap_clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC) + host.skew;
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	if (host.processes >= host.most_processes) {
		errno = EAGAIN;
		return -1;
	}
	host.processes++;
	return __real_fork();
}

/* A process that is to be killed dies, though it may have no group of its own yet. */
int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal)
{
	int result = __real_kill(pid, signal);
	int error = errno;

	if (pid == host.survivor)
		host.survivor = 0;
	if (pid < -1 && result != 0 && error == ESRCH && __real_kill(-pid, 0) == 0)
		host.survivor = -pid;
	errno = error;
	return result;
}

/* Shells are this program itself, which here is the fuzzer. */
int __real_execve(const char *path, char *const argv[], char *const environment[]);
int __wrap_execve(const char *path, char *const argv[], char *const environment[]);
int __wrap_execve(const char *path, char *const argv[], char *const environment[])
{
	return __real_execve(strncmp(path, "/proc/", 6) == 0 ? "/" BOX_PROGRAM : path, argv, environment);
}

/* For a type that it does not know, the kernel would load a module of the host. */
int __real_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int __wrap_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int __wrap_mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)
{
	static const char *const known[] = {"tmpfs", "ramfs", "proc", "sysfs", "devpts", "mqueue"};
	const unsigned long without =
		MS_BIND | MS_MOVE | MS_REMOUNT | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;

	for (size_t i = 0; type != NULL && i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(type, known[i]) == 0)
			return __real_mount(source, target, type, flags, data);
	}
	if ((flags & without) != 0)
		return __real_mount(source, target, NULL, flags, data);
	errno = ENODEV;
	return -1;
}

/* It would write out the host's files. */
void __wrap_sync(void);
void __wrap_sync(void)
{
}

int __wrap_sysinfo(struct sysinfo *info);
int __wrap_sysinfo(struct sysinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->freeram = FREE_MEMORY;
	info->mem_unit = 1;
	return 0;
}

static void prepare(void)
{
	state_keep();
}

/* signals_open() blocks all, and a sanitizer has need of some. */
static void open_signals(void)
{
	sigset_t set;

	check(signals_open() >= 0, "a descriptor of signals");
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGIO);
	(void)sigaddset(&set, SIGPIPE);
	check(sigprocmask(SIG_SETMASK, &set, NULL) == 0, "signals");
}

static void run(const uint8_t *data, size_t size)
{
	int ends[2];

	box_clean();
	state_reset();
	memset(&host, 0, sizeof(host));
	if (size < FRAMES_SCHEDULE_BYTES)
		return;
	/* Without a wait, the clock goes on before a process that was forked does anything. */
	host.waits = (data[0] & 4) != 0 ? MOST_WAITS : 0;
	host.most_processes = (data[0] & NO_PROCESSES) == 0 ? MOST_PROCESSES : 0;
	host.schedule = (uint32_t)data[0] << 8 | data[1] | 0x10000;
	host.stream = (struct input){data + FRAMES_SCHEDULE_BYTES, size - FRAMES_SCHEDULE_BYTES};
	model(host.stream.at, host.stream.left);
	listener_start(got_packet);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "a channel");
	host.fd = ends[1];
	platform_set((data[0] & 1) != 0 ? PLATFORM_CONTAINER : PLATFORM_MACHINE);
	open_signals();
	receiver_start(dispatch_accept);
	channel_open(ends[0], ends[0], (data[0] & 2) != 0);
	(void)loop_until_end();
	loop_flush(clock_now() + MICROSECONDS_PER_SECOND);
	check(host.survivor == 0, "a process that is killed dies");
	processes_end(loop_child_ended);
}

static struct box box = {.prepare = prepare, .run = run};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	size = frames_mutate(data, size, most, seed);
	if (size > 0)
		data[0] = (uint8_t)((data[0] & ~NO_PROCESSES) | (random_below(8) << 4));
	return size;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char path[4096];

	(void)argc;
	memory_watch();
	/* The Makefile builds it beside this fuzzer. */
	check(snprintf(path, sizeof(path), "%s.program", (*argv)[0]) < (int)sizeof(path), "the path of the program");
	box.program = path;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > BOX_INPUT_BYTES)
		return -1;
	box_run(&box, data, size);
	return 0;
}
