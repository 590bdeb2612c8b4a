/*
 * Makes the view of the host's files that a sandbox has as its root: the real file systems below a directory, without
 * those of the kernel and without what is hidden.
 *
 *   root-view OPTION... LINK SOURCE [COMMAND ARG...]
 *   root-view OPTION... --no-root [COMMAND ARG...]
 *
 * SOURCE is the directory. LINK is made, a symbolic link to the view. Then COMMAND is executed. One of these says where
 * the view is mounted:
 *
 *   --private POINT         on POINT, in a mount namespace of its own that COMMAND gets too
 *   --daemon SOCKET POINT   on POINT, in the mount namespace of the daemon that listens on SOCKET. A process stays
 *                           that unmounts it
 *   --user POINT            on POINT, in user and mount namespaces of a process that stays. It may be any directory of
 *                           the host but /proc. LINK leads there through /proc/PID/root, so it works for programs of
 *                           the same user
 *
 * and these, what the view has:
 *
 *   --show PATH    the file system that is mounted on SOURCE/PATH. It has no effect with --user, nor in a user namespace
 *                  whose kernel refuses to copy the mount of SOURCE without those below it: all are there then
 *   --hide PATH    nothing at SOURCE/PATH, or where that leads
 *   --or-all       SOURCE itself if no view can be made
 *   --no-network   with --private: COMMAND has no network of the host, and no System V memory either
 *   --replace DIR BY
 *                  with --private: COMMAND finds the directory BY in place of DIR, read-only. The view has DIR. Where
 *                  that cannot be done COMMAND finds DIR
 *   --serve PROGRAM SOCKET UID CACHE
 *                  with --private and --user: PROGRAM serves the view to the user UID on SOCKET, beside COMMAND: server.h
 *                  CACHE is virtiofsd's word for what the guest keeps
 *
 * Beside the view are disks, files that QEMU opens, in POINT/disks as disk.0 and so on. There they belong to its user:
 *
 *   --owner UID       QEMU's user
 *   --disk PATH       a file; with --disk-ro it cannot be written to
 *   --no-root         there are disks only
 *
 * A process that stays ends when its parent's parent has ended, the supervisor, and unmounts the view. If that is killed
 * it goes on until the launcher, the supervisor's parent, has ended, or the directory of LINK is gone. If it is killed
 * itself, or gets SIGTERM, SIGHUP or SIGINT, another one stays in its place: a QEMU in Landlock's walls can read nothing
 * any more of a view that is not mounted.
 */
#include "arguments.h"
#include "calls.h"
#include "holder.h"
#include "namespaces.h"
#include "point.h"
#include "server.h"
#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a complaint begins. It is a note if COMMAND runs all the same. */
static const char *prefix = "root-view";

static int complain(const char *what, const char *path)
{
	(void)dprintf(2, "%s: %s %s: %s\n", prefix, what, path, strerror(errno));
	return -1;
}

/* The view and the disks beside it. */
static int make_view(const struct arguments *options)
{
	const struct view *view = &options->view;
	const char *failed;
	const char *path;

	if (disks_open(&options->disks, &path) != 0)
		return complain("cannot give QEMU's user the disk", path);
	if (view_make(view, &failed, &path) != 0)
		return complain(failed, path);
	return disks_attach(&options->disks, view->point) == 0 ? 0 : complain("cannot mount disks in", view->point);
}

static int serve(const struct arguments *options)
{
	const char *failed;

	if (options->server.program == NULL || server_start(&options->server, options->view.point, &failed) > 0)
		return 0;
	return complain("cannot serve the view by", failed);
}

/* The one directory serves COMMAND as well as the other, if not as fast. So what fails is no failure. */
static void replace(const char *directory, const char *by)
{
	int mount = clone_mount(by, 0);
	int target = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (mount >= 0 && target >= 0 && restrict_mount(mount, 0) == 0)
		(void)attach_mount(mount, target);
	if (mount >= 0)
		(void)close(mount);
	if (target >= 0)
		(void)close(target);
}

static int make_link(const struct arguments *options, const char *target)
{
	if (options->link == NULL)
		return 0;
	return symlink(target, options->link) == 0 ? 0 : complain("cannot make", options->link);
}

static int make_private(const struct arguments *options)
{
	const struct view *view = &options->view;
	char target[PATH_MAX];

	if (point_make(view->point) != 0)
		return complain("cannot make", view->point);
	if (enter_own_mounts(options->no_network ? CLONE_NEWNET | CLONE_NEWIPC : 0) != 0)
		return complain("cannot have", "a mount namespace");
	if (make_view(options) != 0 || serve(options) != 0)
		return -1;
	if (options->replaced != NULL)
		replace(options->replaced, options->replacement);
	(void)snprintf(target, sizeof(target), "%s/root", view->point);
	return make_link(options, target);
}

/* In the process that stays. */
static int make_in_daemon(const struct arguments *options)
{
	const struct view *view = &options->view;

	if (enter_mounts_of_daemon(options->socket) != 0)
		return complain("cannot enter the mount namespace behind", options->socket);
	point_remove(view->point);
	point_remove_stale(view->point);
	if (point_make(view->point) != 0)
		return complain("cannot make", view->point);
	if (make_view(options) == 0)
		return 0;
	point_remove(view->point);
	return -1;
}

static int make_for_user(const struct arguments *options)
{
	if (enter_own_user() != 0)
		return complain("cannot have", "a user namespace");
	if (make_view(options) != 0)
		return -1;
	/*
	 * Once more: mounts that come from another user namespace are one, whatever happens to this process. Else its
	 * end would take them apart, and uncover what they cover, in a QEMU that has the view open.
	 */
	if (enter_own_user() != 0)
		return complain("cannot have", "a second user namespace");
	/* It is a child of this process, which waits for none. */
	if (signal(SIGCHLD, SIG_IGN) == SIG_ERR || serve(options) != 0)
		return -1;
	/* /proc/PID/root leads to the view, and to nothing else. */
	if (chdir(options->view.point) != 0 || chdir("root") != 0 || chroot(".") != 0)
		return complain("cannot enter", "the view");
	/* Whether the kernel lets others of the same user through there. */
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 ? 0 : complain("cannot open", "the view");
}

/* A mount namespace ends with its last process. */
static void leave_to_kernel(const char *point)
{
	(void)point;
}

/* The life of the process that stays. */
static int stay(const struct arguments *options, const struct life *life, int ready)
{
	bool daemon = options->where == DAEMON;

	if ((daemon ? make_in_daemon : make_for_user)(options) != 0)
		return 1;
	if (write(ready, "", 1) != 1) {
		/* Nobody waits for it any more. */
		if (daemon)
			point_remove(options->view.point);
		return 1;
	}
	(void)close(ready);
	hold(life, daemon ? point_remove : leave_to_kernel, options->view.point);
	return 0;
}

/* Starts the process that stays, and waits until it has the view. */
static pid_t start_staying(const struct arguments *options)
{
	int ready[2];
	char byte;
	sigset_t before;
	struct life life = {.supervisor_id = getppid(),
			    .supervisor = open_process(getppid()),
			    .launcher = open_parent(getppid()),
			    .state = open_directory_of(options->link),
			    .signals = hold_signals(&before)};
	pid_t pid;
	ssize_t n;

	if (life.supervisor < 0 || life.signals < 0 || pipe2(ready, O_CLOEXEC) != 0) {
		(void)complain("cannot start", "a process");
		/* COMMAND may be executed all the same. */
		if (life.signals >= 0)
			(void)sigprocmask(SIG_SETMASK, &before, NULL);
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		(void)close(ready[0]);
		_exit(stay(options, &life, ready[1]));
	}
	(void)close(ready[1]);
	(void)close(life.supervisor);
	(void)close(life.launcher);
	(void)close(life.state);
	(void)close(life.signals);
	do
		n = pid < 0 ? 0 : read(ready[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	(void)close(ready[0]);
	if (sigprocmask(SIG_SETMASK, &before, NULL) != 0)
		return complain("cannot restore", "the signals");
	if (n == 1)
		return pid;
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return -1;
}

static int make_staying(const struct arguments *options)
{
	char target[PATH_MAX];
	pid_t pid = start_staying(options);

	if (pid < 0)
		return -1;
	if (options->where == DAEMON)
		(void)snprintf(target, sizeof(target), "%s/root", options->view.point);
	else
		(void)snprintf(target, sizeof(target), "/proc/%d/root", (int)pid);
	return make_link(options, target);
}

static int usage(void)
{
	(void)dprintf(2, "usage: root-view --private POINT|--daemon SOCKET POINT|--user POINT [--show PATH]... "
			 "[--hide PATH]... [--or-all] [--no-network] [--replace DIR BY] [--owner UID] "
			 "[--serve PROGRAM SOCKET UID CACHE] [--disk|--disk-ro PATH]... "
			 "LINK SOURCE|--no-root [COMMAND ARG...]\n");
	return 2;
}

int main(int argc, char *argv[])
{
	struct arguments options = {.where = NOWHERE};
	struct view_entry *entries = calloc((size_t)argc, sizeof(*entries));
	struct disk *disks = calloc((size_t)argc, sizeof(*disks));

	if (entries == NULL || disks == NULL)
		return 1;
	if (!arguments_parse(argv + 1, &options, entries, disks))
		return usage();
	if (options.or_all)
		prefix = "root-view note";
	int failed = (options.where == PRIVATE ? make_private : make_staying)(&options);

	/* Nothing is tried after this: what fails is the reason, and no note. */
	prefix = "root-view";
	if (failed != 0 && (!options.or_all || make_link(&options, options.view.source) != 0))
		return 1;
	if (*options.command == NULL)
		return 0;
	execvp(options.command[0], options.command);
	(void)complain("cannot execute", options.command[0]);
	return 127;
}
