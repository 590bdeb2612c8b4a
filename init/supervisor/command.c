#include "command.h"

#include "processor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

pid_t command_start(char *const argv[], const sigset_t *signals, bool small_pages)
{
	pid_t supervisor = getpid();

	processor_pin();
	pid_t pid = fork();

	if (pid != 0) {
		processor_unpin();
		return pid;
	}
	/*
	 * virt-qemu-run ends QEMU then. Its parent may have died before this call, and a subreaper be its parent now.
	 */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 || getppid() != supervisor)
		_exit(126);
	if (sigprocmask(SIG_SETMASK, signals, NULL) != 0)
		_exit(126);
	/* It saves memory. A kernel that was built without such pages refuses, and gives none. */
	if (small_pages)
		(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* stderr stays the launcher's pipe, because the launcher shows what COMMAND says of a failure. */
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(126);
	/* The umask of a daemon: a QEMU that runs as another user must reach the files that libvirt makes for it. */
	(void)umask(022);
	execvp(argv[0], argv);
	(void)dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}
