/*
 * Runs virtiofsd for one share, with less than virtiofsd would have. libvirt starts this program in virtiofsd's place,
 * as root:
 *
 *   share-server --fd=N --shared-dir DIRECTORY [--readonly] [VIRTIOFSD'S OPTIONS...]
 *
 * Reading order, which is the order of its life:
 *
 *   arguments.h      what libvirt asks for, and what virtiofsd is told
 *   descriptors.h    the limit of open files, or file handles in their place
 *   walls.h          namespaces: processes, network, and a root that holds the share and no other data
 *   capabilities.h   the capabilities that the share needs
 *   calls.h          the system calls that it is refused
 *   log.h            virtiofsd's messages, up to a bound
 *
 * Started by a link that is called root-server, it serves the root of a sandbox, as the user who owns the link. An
 * ordinary user's is started in a user namespace (init/root-view/server.h).
 *
 *   user.h           that user, who has no capabilities
 *
 * Started by a link that is called overlay-server, it serves the layers of an overlay, as root:
 *
 *   layers.h         their lock, and names of their own for the attributes that overlayfs needs
 *
 * This process is the one that libvirt knows. It ends with virtiofsd's exit status, and virtiofsd does not outlive it.
 */
#include "arguments.h"
#include "calls.h"
#include "capabilities.h"
#include "descriptors.h"
#include "layers.h"
#include "log.h"
#include "user.h"
#include "walls.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_RUN 126

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

/* Leaves virtiofsd what it needs to start, and the child nothing more. */
static const char *limit_rights(const struct arguments *arguments, const struct user *user)
{
	if (arguments->as_user)
		return user_become(user);
	return capabilities_limit(arguments_capabilities(arguments), CAPABILITIES_OF_START);
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

/* In the child. Returns only if it fails. */
static int become_virtiofsd(struct arguments *arguments, const struct user *user, int messages)
{
	/* Nothing of the launcher's, which may have a user's keys: QEMU could have virtiofsd read its own. */
	static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	const char *failed;

	if (dup2(messages, STDOUT_FILENO) < 0 || dup2(messages, STDERR_FILENO) < 0)
		return fail("dup2");
	if (!descriptors_close_but(arguments->socket))
		return fail("close_range");
	if (arguments->walled && (failed = walls_enter()) != NULL)
		return fail(failed);
	failed = limit_rights(arguments, user);
	if (failed == NULL)
		failed = calls_refuse(arguments->handles);
	if (failed == NULL)
		failed = end_with_reader(STDOUT_FILENO);
	if (failed != NULL)
		return fail(failed);
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

static int run(struct arguments *arguments, const struct user *user)
{
	int messages[2];
	int signal = 0;
	pid_t parent = getppid();

	if (prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) != 0)
		return fail("prctl(PR_GET_PDEATHSIG)");
	if (pipe(messages) != 0)
		return fail("pipe");
	/* Only libvirt moves it to a control group. */
	if (signal == 0 && !await_qemu(arguments->socket))
		return fail("poll");
	pid_t pid = fork();

	if (pid < 0)
		return fail("fork");
	if (pid == 0)
		_exit(become_virtiofsd(arguments, user, messages[1]));
	(void)close(arguments->socket);
	(void)close(messages[1]);

	/* Only as the same user can it end virtiofsd by its own end. */
	const char *failed = arguments->as_user ? user_become(user) : capabilities_limit(0, 0);

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

int main(int argc, char *argv[])
{
	struct arguments arguments;
	struct user user;

	if (!arguments_find_program(&arguments)) {
		errno = ENOENT;
		return fail("virtiofsd");
	}
	if (arguments_are_question(argc, argv)) {
		(void)execv(arguments.program, argv);
		return fail(arguments.program);
	}
	/* libvirt writes `-o source=DIRECTORY` for a virtiofsd that does not report separate-options. */
	if (!arguments_read(&arguments, argc, argv)) {
		(void)dprintf(STDERR_FILENO, "share-server: the command has no --fd=N or no --shared-dir DIRECTORY; "
					     "use a libvirt and a virtiofsd that know separate-options\n");
		return CANNOT_RUN;
	}
	arguments.as_user = user_is_wanted(argv[0], &arguments.flat);
	if (arguments.as_user && !user_of_link(argv[0], &user))
		return fail(argv[0]);
	arguments.alone = arguments.as_user && user_is_self(&user);
	arguments.layers = layers_are_served(argv[0]);
	const char *failed = arguments.layers ? layers_lock(arguments.directory) : NULL;

	if (failed != NULL)
		return fail(failed);
	unsigned long limit = descriptors_raise();

	/* Who may open by handle may open all files, whoever they are for. */
	arguments.handles = limit < DESCRIPTORS_ENOUGH && !arguments.as_user;
	failed = walls_make(arguments.directory, arguments.read_only, &arguments.walled);

	if (failed != NULL)
		return fail(failed);
	if (!arguments.walled) {
		int status = fail("no namespaces for virtiofsd");

		if (arguments.as_user)
			return status;
	}
	if (!arguments_complete(&arguments, argc, argv, limit)) {
		errno = E2BIG;
		return fail("options for virtiofsd");
	}
	return run(&arguments, &user);
}
