#include "shutdown/power_off.h"

#include "util/log.h"
#include "util/platform.h"

#include <errno.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

_Noreturn void power_off(void)
{
	log_drain();
	if (platform() == PLATFORM_MACHINE) {
		(void)reboot(RB_POWER_OFF);
		log_line("reboot(RB_POWER_OFF): %s", strerror(errno));
		log_drain();
		/* A machine that cannot be switched off restarts instead, which its host takes for the end. */
		(void)reboot(RB_AUTOBOOT);
	}
	_exit(0);
}
