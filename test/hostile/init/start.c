/* Attacks in place of what an init says first. */
#include "serve/attacks.h"

#include "serve/wire.h"
#include "util/log.h"

static uint8_t scratch[1 << 18];

static void put_modules(struct writer *writer)
{
	uint32_t claimed = draw(2) == 0 ? edge() : 3;

	put_u32(writer, claimed);
	for (int i = 0; i < 3; i++) {
		put_str(writer, ESCAPES);
		put_u32(writer, edge());
		put_u32(writer, edge());
	}
}

void attack_ready(void)
{
	struct writer writer;

	log_line("attack ready");
	writer_start(&writer, scratch, sizeof(scratch));
	put_u32(&writer, draw(3) == 0 ? edge() : VS_PROTOCOL_VERSION);
	put_str(&writer, ESCAPES);
	put_u64(&writer, (uint64_t)edge() << 32);
	put_u64(&writer, edge());
	put_modules(&writer);
	send_packet(VS_PROC_READY, VS_TYPE_MESSAGE, VS_STATUS_OK, 0, scratch,
		    draw(4) == 0 ? draw((uint32_t)writer.used) : writer.used);
}

void attack_greeting(void)
{
	log_line("attack greeting");
	for (int i = 0; i < 256; i++) {
		size_t size = 1 + draw(1024);

		fill(scratch, size);
		if (draw(2) == 0)
			for (size_t at = 0; at < size; at++)
				if (scratch[at] == VS_HANDSHAKE_SYNC)
					scratch[at] = 0;
		if (!send_bytes(scratch, size))
			return;
	}
}
