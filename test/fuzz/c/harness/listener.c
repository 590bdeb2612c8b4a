#include "harness/listener.h"

#include "harness/check.h"

#include <string.h>

static uint8_t packet[VS_MAX_PACKET_BYTES];
static size_t have;
static listener_packet *hear;

void listener_start(listener_packet *on_packet)
{
	have = 0;
	hear = on_packet;
}

void listener_take(const uint8_t *data, size_t size)
{
	struct packet_header header = {.length = VS_HEADER_BYTES};

	if (have >= VS_HEADER_BYTES)
		header_decode(&header, packet);
	while (size > 0) {
		size_t part = header.length - have < size ? header.length - have : size;

		memcpy(packet + have, data, part);
		have += part;
		data += part;
		size -= part;
		if (have == VS_HEADER_BYTES)
			header_decode(&header, packet);
		check(header.length >= VS_HEADER_BYTES && header.length <= VS_MAX_PACKET_BYTES,
		      "the host gets packets of a possible length");
		if (have < header.length)
			continue;
		hear(&header, packet + VS_HEADER_BYTES, have - VS_HEADER_BYTES);
		have = 0;
		header.length = VS_HEADER_BYTES;
	}
}
