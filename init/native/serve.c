#include "serve.h"

#include "app.h"
#include "channel.h"
#include "codec.h"
#include "handshake.h"
#include "log.h"
#include "loop.h"
#include "modules.h"
#include "output.h"
#include "processes.h"

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
	writer_start(&writer, payload, sizeof payload);
	put_u32(&writer, VS_PROTOCOL_VERSION);
	put_str(&writer, system.release);
	put_u64(&writer, started);
	put_u64(&writer, ready);
	modules_report(&writer);
	output_packet(VS_PROC_READY, VS_TYPE_MESSAGE, VS_STATUS_OK, 0, payload, writer.used);
}

static uint32_t between(uint64_t from, uint64_t until)
{
	if (from == 0 || until < from)
		return 0;
	return until - from > UINT32_MAX ? UINT32_MAX : (uint32_t)(until - from);
}

static void send_exit(uint64_t drained)
{
	struct writer writer;
	uint8_t payload[12];

	writer_start(&writer, payload, sizeof payload);
	put_u32(&writer, (uint32_t)app_status());
	put_u32(&writer, between(app_ended_at(), drained));
	put_u32(&writer, between(drained, time_now()));
	output_packet(VS_PROC_EXIT, VS_TYPE_MESSAGE, VS_STATUS_OK, 0, payload, writer.used);
}

void serve(int fd, bool can_splice, uint64_t deadline, uint64_t started, void (*finish)(void))
{
	uint64_t ready = time_of(CLOCK_BOOTTIME);

	log_debug("ready");
	if (!handshake(fd, deadline))
		return;
	channel_open(fd, fd, can_splice);
	processes_yield(true);
	send_ready(started, ready);
	if (loop_until_end()) {
		uint64_t drained = time_now();

		finish();
		send_exit(drained);
		loop_until_quit();
	} else {
		loop_flush(time_now() + FLUSH_US);
		finish();
	}
}
