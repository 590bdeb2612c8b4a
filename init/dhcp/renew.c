#include "renew.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FOR_EVER UINT32_MAX
/* A server that grants less would be asked without end. */
#define LEAST_SECONDS 4
/* The user nobody on most systems; on all, a user that owns nothing. */
#define UNPRIVILEGED 65534
#define MOST_SLEEP_MS (60 * 60 * 1000)

struct times {
	uint64_t renewal;
	uint64_t rebinding;
	uint64_t end;
};

bool lease_ends(const struct reply *lease)
{
	return lease->lease != 0 && lease->lease != FOR_EVER;
}

/*
 * Computes the moments in milliseconds: as the server wishes if that makes sense, otherwise a half and seven eighths.
 */
static struct times times_of(const struct reply *lease)
{
	uint64_t lasts = lease->lease < LEAST_SECONDS ? LEAST_SECONDS : lease->lease;
	uint64_t rebinding =
		lease->rebinding > 0 && lease->rebinding < lasts ? lease->rebinding * UINT64_C(1000) : lasts * 875;
	uint64_t renewal = lease->renewal > 0 && lease->renewal * UINT64_C(1000) < rebinding
				   ? lease->renewal * UINT64_C(1000)
				   : lasts * 500;
	uint64_t now = now_ms();

	if (renewal > rebinding)
		renewal = rebinding;
	return (struct times){.renewal = now + renewal, .rebinding = now + rebinding, .end = now + lasts * 1000};
}

static void sleep_until(uint64_t moment)
{
	for (uint64_t now = now_ms(); now < moment; now = now_ms())
		(void)poll(NULL, 0, moment - now < MOST_SLEEP_MS ? (int)(moment - now) : MOST_SLEEP_MS);
}

static void log_to_kernel(int log, const char *interface, const char *what)
{
	char line[128];
	int size = snprintf(line, sizeof(line), "<4>dhcp: %s: %s\n", interface, what);

	if (log >= 0 && size > 0)
		(void)!write(log, line, (size_t)size);
}

static _Noreturn void keep(struct port *port, struct reply *lease, const char *interface, int log)
{
	while (lease_ends(lease)) {
		struct times times = times_of(lease);
		enum outcome outcome;

		sleep_until(times.renewal);
		outcome = extend_lease(port, lease, false, times.rebinding);
		if (outcome == OUTCOME_SILENCE)
			outcome = extend_lease(port, lease, true, times.end);
		if (outcome != OUTCOME_LEASE) {
			log_to_kernel(log, interface,
				      outcome == OUTCOME_REFUSED ? "the server took the address back"
								 : "the lease was not renewed");
			_exit(1);
		}
	}
	_exit(0);
}

static bool give_up_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setgroups(0, NULL) == 0 &&
	       setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) == 0 &&
	       setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) == 0;
}

bool renew_in_background(struct port *port, struct reply *lease, const char *interface)
{
	pid_t pid = fork();
	int log;

	if (pid < 0)
		(void)fprintf(stderr, "fork: %s\n", strerror(errno));
	if (pid != 0)
		return pid > 0;
	log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	/* A reader of this program's output must not wait for the end of the lease. */
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)close(STDERR_FILENO);
	(void)signal(SIGHUP, SIG_IGN);
	if (setsid() < 0 || !give_up_privileges()) {
		log_to_kernel(log, interface, "the lease will not be renewed: privileges cannot be given up");
		_exit(1);
	}
	keep(port, lease, interface, log);
}
