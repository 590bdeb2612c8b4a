/* read PATH: writes the file to stdout. */
#include "builtins/builtins.h"

#include "shared/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIECE_BYTES 65536

void builtin_read(char **argv)
{
	static char piece[PIECE_BYTES];
	int fd = open(argv[0], O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		builtin_fail(errno, "open(%s)", argv[0]);
	for (;;) {
		ssize_t size = read(fd, piece, sizeof(piece));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			builtin_fail(errno, "read(%s)", argv[0]);
		if (size == 0)
			return;
		if (write_all(STDOUT_FILENO, piece, (size_t)size) < 0)
			builtin_fail(errno, "write(stdout)");
	}
}
