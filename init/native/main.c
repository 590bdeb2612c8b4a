/* Process 1: from the kernel's start to the power off. As an ordinary process, with --sessions, what it started for shells. */
#include "channel.h"
#include "common.h"
#include "filesystems.h"
#include "log.h"
#include "place.h"
#include "processes.h"
#include "serve.h"
#include "sessions.h"
#include "terminal_shell.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void stop_everything(void)
{
	uint64_t start = time_now();
	uint64_t killed;

	/* An orderly end, which the launcher is to hear of from this init itself. */
	if (common_active() && !channel_ended()) {
		int port = common_finish(channel_in());

		channel_open(port, port, false);
	}
	processes_end();
	killed = time_now();
	filesystems_end(place() == PLACE_CONTAINER);
	log_debug("processes ended in %u us, file systems in %u us", (unsigned)(killed - start), (unsigned)(time_now() - killed));
}

static void run(uint64_t started)
{
	int fd;

	if (signals_open() < 0) {
		log_line("signalfd: %s; powering off", strerror(errno));
		return;
	}
	fd = place_open_channel();
	if (fd >= 0 && place() == PLACE_MACHINE && common_carried())
		fd = common_start(fd);
	if (fd >= 0)
		serve(fd, place_can_splice(), time_now() + place_handshake_us(), started, stop_everything);
}

int main(int argc, char **argv)
{
	uint64_t started = time_of(CLOCK_BOOTTIME);

	if (argc == 3 && strcmp(argv[1], SESSIONS_ARGUMENT) == 0)
		sessions_serve(argv[2]);
	if (argc >= 4 && strcmp(argv[1], TERMINAL_ARGUMENT) == 0)
		terminal_shell(argv[2], argv + 3, environ);
	place_prepare(argc, argv);
	run(started);
	place_leave();
}
