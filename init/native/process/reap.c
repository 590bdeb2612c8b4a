#include "process/reap.h"

#include <errno.h>
#include <stddef.h>
#include <sys/wait.h>

bool reap_children(process_ended *ended)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0)
			ended(pid, status);
		else if (pid == 0)
			return false;
		else if (errno != EINTR)
			return true;
	}
}
