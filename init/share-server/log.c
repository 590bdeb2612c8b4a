#include "log.h"

#include "shared/write_all.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#define CHUNK_BYTES 4096

void log_copy(int from, int to)
{
	static const char full[] = "\nshare-server: the log is full, further messages are left out\n";
	size_t room = LOG_BYTES;
	bool said = false;

	for (;;) {
		char chunk[CHUNK_BYTES];
		ssize_t n = read(from, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		size_t taken = (size_t)n < room ? (size_t)n : room;

		/* A full disk costs the message, not the share. */
		(void)write_all(to, chunk, taken);
		room -= taken;
		if (room > 0 || said)
			continue;
		(void)write_all(to, full, sizeof(full) - 1);
		said = true;
	}
}
