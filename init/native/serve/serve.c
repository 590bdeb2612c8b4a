#include "serve/serve.h"

#include "boot/modules.h"
#include "ops/dispatch.h"
#include "process/exits.h"
#include "process/processes.h"
#include "serve/loop.h"
#include "transport/channel.h"
#include "transport/codec.h"
#include "transport/handshake.h"
#include "transport/receiver.h"
#include "transport/sender.h"
#include "util/clock.h"
#include "util/log.h"

#include <sys/utsname.h>

/* How long a host that has said QUIT may take to read the last packets. */
#define FLUSH_US (1 * MICROSECONDS_PER_SECOND)

static void send_ready(uint64_t started, uint64_t ready)
{
	static uint8_t payload[VS_MAX_PACKET_BYTES - VS_HEADER_BYTES];
	struct utsname system;
	struct writer writer;

	if (uname(&system) < 0)
		system.release[0] = '\0';
	writer_start(&writer, payload, sizeof(payload));
	put_u32(&writer, VS_PROTOCOL_VERSION);
	put_str(&writer, system.release);
	put_u64(&writer, started);
	put_u64(&writer, ready);
	modules_report(&writer);
	sender_queue(VS_PROC_READY, VS_TYPE_MESSAGE, VS_STATUS_OK, 0, payload, writer.used);
}

void serve(const struct service *service)
{
	uint64_t ready = clock_read(CLOCK_BOOTTIME);

	log_debug("ready");
	receiver_start(dispatch_accept);
	if (!handshake(service->fd, service->deadline, service->one_peer, loop_take_signals))
		return;
	channel_open(service->fd, service->fd, service->can_splice);
	processes_yield(true);
	send_ready(service->started, ready);
	if (loop_until_end()) {
		uint64_t drained = clock_now();

		service->finish();
		application_send_exit(drained);
		loop_until_quit();
	} else {
		loop_flush(clock_now() + FLUSH_US);
		service->finish();
	}
}
