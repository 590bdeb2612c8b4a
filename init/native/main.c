/*
 * Process 1: its whole life, in order, and where to read on.
 *
 *   boot_prepare()        arguments, the platform, /dev /proc /sys, the log      boot/boot.c, util/platform.c
 *   boot_open_channel()   kernel modules, then the port that is the channel      boot/modules.c, transport/port.c
 *   node_init_start()     only if the initrd carries Node                        boot/node_init.c
 *   serve()               one host:                                              serve/serve.c
 *     handshake             agrees that packets follow                             transport/handshake.c
 *     loop                  moves bytes, runs calls, reaps                         serve/loop.c, process/reap.c
 *       receiver, sender      the host's bytes, and those for it                     transport/receiver.c, sender.c
 *       dispatch              runs each call; every operation is in ops/             ops/dispatch.c
 *       table, exits          what the host starts, from fork to its status          process/table.c, child.c, exits.c
 *       helper                a program that the host runs meanwhile                 process/helper.c
 *   stop_everything()     kills what is left, syncs, unmounts; then EXIT goes    process/processes.c, shutdown/
 *   power_off()           the last step                                          shutdown/power_off.c
 *
 * util/platform.h says which platform this is. Everything else in util/ serves any program. A folder includes only from
 * those that init/layers.json allows it.
 *
 * This program also serves root shells, as processes beside process 1: shells/.
 */
#include "boot/arguments.h"
#include "boot/boot.h"
#include "boot/node_init.h"
#include "process/processes.h"
#include "serve/loop.h"
#include "serve/serve.h"
#include "shells/sessions.h"
#include "shells/terminal_shell.h"
#include "shutdown/filesystems.h"
#include "shutdown/power_off.h"
#include "transport/channel.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/platform.h"
#include "util/signals.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The application has ended, or the host is gone: nothing may run on, and no data may be lost. */
static void stop_everything(void)
{
	uint64_t start = clock_now();
	uint64_t killed;

	/* The launcher behind the Node init gets EXIT from this init itself. */
	if (node_init_active() && !channel_ended()) {
		int port = node_init_finish(channel_in());

		channel_open(port, port, false);
	}
	processes_end(loop_child_ended);
	killed = clock_now();
	filesystems_end();
	log_debug("processes ended in %u us, file systems in %u us", (unsigned)(killed - start),
		  (unsigned)(clock_now() - killed));
}

/* If the initrd carries Node, the Node init gets the port. It is then the host of this init, on a socket pair. */
static int open_channel(void)
{
	int fd = boot_open_channel();

	if (fd >= 0 && platform() == PLATFORM_MACHINE && node_init_present())
		return node_init_start(fd);
	return fd;
}

static void run(uint64_t started)
{
	struct service service = {.started = started, .finish = stop_everything};

	if (signals_open() < 0) {
		log_line("signalfd: %s; powering off", strerror(errno));
		return;
	}
	service.fd = open_channel();
	if (service.fd < 0)
		return;
	service.can_splice = boot_can_splice();
	service.one_peer = node_init_active();
	service.deadline = clock_now() + boot_handshake_us();
	serve(&service);
}

int main(int argc, char **argv)
{
	uint64_t started = clock_read(CLOCK_BOOTTIME);

	if (argc == 3 && strcmp(argv[1], ARGUMENT_SESSIONS) == 0)
		sessions_serve(argv[2]);
	if (argc >= 4 && strcmp(argv[1], ARGUMENT_TERMINAL) == 0)
		terminal_shell(argv[2], argv + 3, environ);
	boot_prepare(argc, argv);
	run(started);
	power_off();
}
