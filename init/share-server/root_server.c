#include "root_server.h"

#include "files/service.h"
#include "own_calls.h"
#include "vhost/device.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAILED 1
#define CANNOT_RUN 126

void root_server_describe(void)
{
	(void)dprintf(STDOUT_FILENO, "{\n  \"type\": \"fs\",\n  \"features\": [\"separate-options\"]\n}\n");
}

bool root_server_cache(const char *name, enum files_cache *cache)
{
	static const struct {
		const char *name;
		enum files_cache cache;
	} modes[] = {
		{"auto", FILES_CACHE_AUTO},
		{"never", FILES_CACHE_NEVER},
		{"always", FILES_CACHE_ALWAYS},
	};

	for (size_t at = 0; at < sizeof(modes) / sizeof(modes[0]); at += 1) {
		if (strcmp(modes[at].name, name) == 0) {
			*cache = modes[at].cache;
			return true;
		}
	}
	return false;
}

static int fail(const char *what)
{
	(void)dprintf(STDERR_FILENO, "share-server: %s: %s\n", what, strerror(errno));
	return CANNOT_RUN;
}

/* QEMU has cut off the file of the guest's memory. */
static void end_without_memory(int signal)
{
	static const char message[] = "share-server: the guest's memory is gone\n";

	(void)signal;
	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(CANNOT_RUN);
	_exit(FAILED);
}

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

/* The first process of its namespace gets no signal that it does not handle. One to a QEMU that is gone is an error. */
static bool handle_signals(void)
{
	const struct sigaction of_memory = {.sa_handler = end_without_memory};
	const struct sigaction of_end = {.sa_handler = end};
	const struct sigaction ignored = {.sa_handler = SIG_IGN};

	return sigaction(SIGBUS, &of_memory, NULL) == 0 && sigaction(SIGTERM, &of_end, NULL) == 0 &&
	       sigaction(SIGINT, &of_end, NULL) == 0 && sigaction(SIGPIPE, &ignored, NULL) == 0;
}

/*
 * It has the memory of the guest, of which it leaves no core, and what /proc has of it is closed to other processes of the
 * same user. What the guest makes it remember has a bound.
 */
static const char *close_off(void)
{
	const struct rlimit data = {.rlim_cur = ROOT_SERVER_DATA_BYTES, .rlim_max = ROOT_SERVER_DATA_BYTES};

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return "prctl(PR_SET_DUMPABLE)";
	return setrlimit(RLIMIT_DATA, &data) == 0 ? NULL : "setrlimit(RLIMIT_DATA)";
}

static int await_connection(int listening)
{
	int fd;

	do {
		fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

static uint32_t answer(void *context, const struct chain *chain)
{
	return service_answer(context, chain->in, chain->in_count, chain->out, chain->out_count);
}

static int serve(int socket, const struct root_server_options *options)
{
	static struct device device;
	struct files files;

	if (!service_open(&files, &options->files))
		return fail("the root");
	device_open(&device, socket, options->is_saved, answer, &files);

	const char *broken = device_run(&device);

	if (broken == NULL)
		return 0;
	(void)dprintf(STDERR_FILENO, "share-server: QEMU or its guest breaks the protocol: %s\n", broken);
	return FAILED;
}

int root_server_run(int listening, const char *directory, struct root_server_options *options)
{
	if (!handle_signals())
		return fail("sigaction");
	const char *failed = close_off();

	if (failed != NULL)
		return fail(failed);
	options->files.root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (options->files.root < 0)
		return fail(directory);
	int socket = await_connection(listening);

	if (socket < 0)
		return fail("accept");
	(void)close(listening);
	failed = own_calls_allow();

	return failed == NULL ? serve(socket, options) : fail(failed);
}
