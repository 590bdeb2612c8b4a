/*
 * Serves one share over virtiofs, with few rights. libvirt starts this program in virtiofsd's place, as root:
 *
 *   share-server --fd=N --shared-dir DIRECTORY [--readonly] [VIRTIOFSD'S OPTIONS...]
 *
 * A directory is served by virtiofsd, which this program runs with less than it would have. Reading order, which is the
 * order of its life:
 *
 *   arguments.h      what libvirt asks for, and what virtiofsd is told
 *   descriptors.h    the limit of open files, or file handles in their place
 *   walls.h          namespaces: processes, network, and a root that holds the share and no other data
 *   capabilities.h   the capabilities that the share needs
 *   calls.h          the system calls that it is refused
 *   log.h            its messages, up to a bound
 *
 * Started by a link that is called root-server, it serves the root of a sandbox, read-only, and without virtiofsd. The
 * server is the user who owns the link. An ordinary user's is started in a user namespace (init/root-view/server.h).
 *
 *   user.h           that user, who has no capabilities
 *   root_server.h    the server, of vhost/ and files/
 *   settled.h        when what the host's programs have changed is on the disk
 *   own_calls.h      the few system calls that it has
 *
 * Started by a link that is called overlay-server, it has virtiofsd serve the layers of an overlay, as root:
 *
 *   layers.h         their lock, and names of their own for the attributes that overlayfs needs
 *
 * This process is the one that libvirt knows. It ends with the server's exit status, and the server does not outlive it.
 */
#include "arguments.h"
#include "calls.h"
#include "capabilities.h"
#include "descriptors.h"
#include "environment.h"
#include "layers.h"
#include "log.h"
#include "nobody.h"
#include "root_server.h"
#include "settled.h"
#include "user.h"
#include "walls.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_RUN 126

/* What is served, and how. */
struct share {
	struct arguments arguments;
	struct walls walls;
	/* It is the root of a sandbox, as this user's. */
	bool is_root;
	struct user user;
	struct root_server_options options;
};

static int fail(const char *what)
{
	(void)dprintf(STDERR_FILENO, "share-server: %s: %s\n", what, strerror(errno));
	return CANNOT_RUN;
}

/*
 * Waits until QEMU connects. By then libvirt has moved this process to the control group of the domain, so the child
 * that is forked next is in it.
 */
static bool await_qemu(int socket)
{
	struct pollfd fd = {.fd = socket, .events = POLLIN};

	while (poll(&fd, 1, -1) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

/*
 * The end of the parent, of this child too. The parent is in another PID namespace, where getppid(2) does not see it,
 * and may have ended already: nobody reads this end of the pipe then.
 */
static const char *end_with_reader(int messages)
{
	struct pollfd fd = {.fd = messages};

	/* Becoming another user clears it, and a parent of another user may not send it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return "prctl(PR_SET_PDEATHSIG)";
	if (poll(&fd, 1, 0) < 0)
		return "poll";
	errno = ESRCH;
	return fd.revents & POLLERR ? "the end of the parent" : NULL;
}

/* In the child: becomes what serves the share. Returns the exit status of the root's server, or if it fails. */
static int serve(struct share *share, int messages)
{
	/* Nothing of the launcher's, which may have a user's keys: what a guest has taken over could read them. */
	static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	struct arguments *arguments = &share->arguments;
	const char *failed;

	if (dup2(messages, STDOUT_FILENO) < 0 || dup2(messages, STDERR_FILENO) < 0)
		return fail("dup2");
	if (!descriptors_close_but(arguments->socket))
		return fail("close_range");
	if (arguments->walled && (failed = walls_enter(&share->walls)) != NULL)
		return fail(failed);
	failed = share->is_root ? user_become(&share->user)
				: capabilities_limit(arguments_capabilities(arguments), CAPABILITIES_OF_START);
	if (failed == NULL && !share->is_root)
		failed = calls_refuse(arguments->handles);
	if (failed == NULL)
		failed = end_with_reader(STDOUT_FILENO);
	if (failed != NULL)
		return fail(failed);
	environment_wipe();
	if (share->is_root)
		return root_server_run(arguments->socket, WALLED_SHARE, &share->options);
	(void)execve(arguments->program, (char *const *)arguments->words, (char *const *)environment);
	return fail(arguments->program);
}

/*
 * The signal that this process gets when its parent ends, where root-view has started it, and not libvirt. To become
 * another user clears it.
 */
static int end_with_parent(int signal, pid_t parent)
{
	if (signal == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0)
		return -1;
	/* It may have ended before. */
	errno = ESRCH;
	return getppid() == parent ? 0 : -1;
}

static int run(struct share *share)
{
	int messages[2];
	int signal = 0;
	pid_t parent = getppid();

	if (prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) != 0)
		return fail("prctl(PR_GET_PDEATHSIG)");
	if (pipe(messages) != 0)
		return fail("pipe");
	/* Only libvirt moves it to a control group. */
	if (signal == 0 && !await_qemu(share->arguments.socket))
		return fail("poll");
	pid_t pid = fork();

	if (pid < 0)
		return fail("fork");
	if (pid == 0)
		_exit(serve(share, messages[1]));
	(void)close(share->arguments.socket);
	(void)close(messages[1]);

	/* Only as the same user can it end the server by its own end. */
	const char *failed = share->is_root ? user_become(&share->user) : capabilities_limit(0, 0);

	if (failed != NULL)
		return fail(failed);
	if (end_with_parent(signal, parent) != 0)
		return fail("the end of the parent");
	log_copy(messages[0], STDERR_FILENO);

	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* How a root is served. NULL, or what is wrong, with errno. */
static const char *prepare_root(struct share *share, const char *program, unsigned long limit)
{
	share->walls = (struct walls){.read_only = true, .bare = true};
	share->options.files.descriptors = limit;
	share->options.files.nodes = FILES_NODES;
	share->options.files.settled = settled_seconds();
	if (share->options.files.is_below_overlay &&
	    getrandom(&share->options.files.generation, sizeof(share->options.files.generation), 0) < 0)
		return "getrandom";
	share->options.files.nobody = (uid_t)-1;
	share->options.files.nogroup = (gid_t)-1;
	if (!user_of_link(program, &share->user))
		return program;
	/* There is no other user in its namespace: what is not this user's seems to be nobody's, and nearly all is root's. */
	if (user_is_self(&share->user)) {
		share->options.files.nobody = nobody_user();
		share->options.files.nogroup = nobody_group();
	}
	errno = EINVAL;
	return root_server_cache(share->arguments.cache, &share->options.files.cache) ? NULL : share->arguments.cache;
}

/* How virtiofsd serves a directory. NULL, or what is wrong, with errno. */
static const char *prepare_directory(struct share *share, const char *program, unsigned long limit)
{
	struct arguments *arguments = &share->arguments;

	share->walls.read_only = arguments->read_only;
	arguments->layers = layers_are_served(program);
	arguments->handles = limit < DESCRIPTORS_ENOUGH;
	return arguments->layers ? layers_lock(arguments->directory) : NULL;
}

static int answer_question(const struct share *share, char *argv[])
{
	if (share->is_root) {
		root_server_describe();
		return 0;
	}
	(void)execv(share->arguments.program, argv);
	return fail(share->arguments.program);
}

int main(int argc, char *argv[])
{
	static struct share share;
	struct arguments *arguments = &share.arguments;
	bool flat;

	share.is_root = user_is_wanted(argv[0], &flat, &share.options.is_saved);
	share.options.files.announces_mounts = !flat;
	share.options.files.is_below_overlay = flat;
	if (!share.is_root && !arguments_find_program(arguments)) {
		errno = ENOENT;
		return fail("virtiofsd");
	}
	if (arguments_are_question(argc, argv))
		return answer_question(&share, argv);
	/* libvirt writes `-o source=DIRECTORY` for a virtiofsd that does not report separate-options. */
	if (!arguments_read(arguments, argc, argv)) {
		(void)dprintf(STDERR_FILENO, "share-server: the command has no --fd=N or no --shared-dir DIRECTORY; "
					     "use a libvirt and a virtiofsd that know separate-options\n");
		return CANNOT_RUN;
	}
	const unsigned long limit = descriptors_raise();
	const char *failed =
		share.is_root ? prepare_root(&share, argv[0], limit) : prepare_directory(&share, argv[0], limit);

	if (failed == NULL)
		failed = walls_make(arguments->directory, &share.walls, &arguments->walled);
	if (failed != NULL)
		return fail(failed);
	if (!arguments->walled) {
		int status =
			fail(share.is_root ? "no namespaces for the root's server" : "no namespaces for virtiofsd");

		if (share.is_root)
			return status;
	}
	if (!share.is_root && !arguments_complete(arguments, argc, argv, limit)) {
		errno = E2BIG;
		return fail("options for virtiofsd");
	}
	return run(&share);
}
