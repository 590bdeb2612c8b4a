/*
 * Plays a host for a fuzzer:
 *
 *   init-fuzz [FILE...]         feeds files, or standard input, to the init as what a host sends after the handshake
 *   init-fuzz --module FILE     writes the module as the kernel gets it, unsigned and with sections marked to skip
 *
 * Every operation decodes its arguments and is then refused. Process 1 is a pipe: what goes to its stdin comes out of its
 * stdout. The status is 0 unless a sanitizer finds something, or the init hangs.
 */
#include "boot/sections.h"
#include "boot/signature.h"
#include "ops/dispatch.h"
#include "serve/loop.h"
#include "transport/channel.h"
#include "transport/receiver.h"
#include "transport/stdin.h"
#include "transport/streams.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* An init that is busy for longer with one stream hangs. */
#define LIMIT_SECONDS 20
#define BLOCK_BYTES 65536
/* The number of the process that is a pipe. */
#define FUZZED_PROCESS 1

static _Noreturn void fail(const char *what)
{
	(void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/* The host's side: sends the file in pieces of varying size and reads the replies, so that neither side blocks. */
static _Noreturn void play_host(int file, int socket)
{
	static uint8_t block[BLOCK_BYTES];
	static uint8_t answers[BLOCK_BYTES];
	size_t piece = 1;
	ssize_t count;

	while ((count = read(file, block, piece)) > 0) {
		for (ssize_t sent = 0; sent < count;) {
			ssize_t part = send(socket, block + sent, (size_t)(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);

			if (part > 0)
				sent += part;
			else if (errno != EAGAIN)
				_exit(0);
			while (recv(socket, answers, sizeof(answers), MSG_DONTWAIT) > 0)
				continue;
		}
		piece = piece * 3 % BLOCK_BYTES + 1;
	}
	(void)shutdown(socket, SHUT_WR);
	while (recv(socket, answers, sizeof(answers), 0) > 0)
		continue;
	_exit(0);
}

static int run_one(int file)
{
	int sockets[2];
	int loopback[2];
	int nothing[2];
	pid_t host;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ||
	    pipe2(loopback, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(nothing, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    fcntl(sockets[0], F_SETFL, O_NONBLOCK) < 0)
		fail("channel");
	host = fork();
	if (host < 0)
		fail("fork");
	if (host == 0) {
		fd_close(&sockets[0]);
		play_host(file, sockets[1]);
	}
	fd_close(&sockets[1]);
	log_open(NULL);
	if (signals_open() < 0)
		fail("signalfd");
	receiver_start(dispatch_accept);
	channel_open(sockets[0], sockets[0], true);
	if (stdin_reserve(0) < 0)
		fail("mmap");
	stdin_attach(0, FUZZED_PROCESS, loopback[1], false);
	streams_attach(0, FUZZED_PROCESS, loopback[0], nothing[0], false);
	(void)loop_until_end();
	loop_flush(clock_now() + MICROSECONDS_PER_SECOND);
	return 0;
}

/* A process for each file, because the init is made for one connection. */
static bool run_apart(int file, const char *name)
{
	const struct timespec limit = {.tv_sec = LIMIT_SECONDS};
	sigset_t ended;
	int status;
	pid_t child;

	(void)sigemptyset(&ended);
	(void)sigaddset(&ended, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &ended, NULL) < 0)
		fail("sigprocmask");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0)
		exit(run_one(file));
	if (sigtimedwait(&ended, NULL, &limit) < 0)
		(void)kill(child, SIGKILL);
	if (waitpid(child, &status, 0) < 0)
		fail("waitpid");
	if (status != 0)
		(void)fprintf(stderr, "%s: wait status 0x%x\n", name, (unsigned)status);
	return status == 0;
}

/* A block of exactly the file's size lets the sanitizer see a look beyond either end. */
static void write_module(const char *name)
{
	FILE *file = fopen(name, "rbe");
	unsigned char *module;
	struct stat status;
	size_t size;

	if (file == NULL || fstat(fileno(file), &status) < 0)
		fail(name);
	size = (size_t)status.st_size;
	module = malloc(size);
	if (module == NULL || fread(module, 1, size, file) != size)
		fail(name);
	sections_pass_over(module, size);
	size = signature_start(module, size);
	if (fwrite(module, 1, size, stdout) != size || fflush(stdout) != 0)
		fail("stdout");
	free(module);
	(void)fclose(file);
}

int main(int argc, char **argv)
{
	bool good = true;

	if (argc == 3 && strcmp(argv[1], "--module") == 0) {
		write_module(argv[2]);
		return 0;
	}
	if (argc < 2)
		return run_apart(STDIN_FILENO, "stdin") ? 0 : 1;
	for (int i = 1; i < argc; i++) {
		int file = open(argv[i], O_RDONLY | O_CLOEXEC);

		if (file < 0)
			fail(argv[i]);
		good = run_apart(file, argv[i]) && good;
		fd_close(&file);
	}
	return good ? 0 : 1;
}
