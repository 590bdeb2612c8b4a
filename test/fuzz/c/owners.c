/*
 * What the supervisor reads to know whether the owner of a state directory lives: DIRECTORY/owner, which anybody may have
 * written, and /proc/PID/stat, in which a process chooses its name.
 *
 * What must hold: a directory is removed only if its owner file names nobody who lives.
 */
#include "harness/check.h"
#include "harness/file.h"
#include "harness/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* The functions that read are not for other files. */
#include "owner.c"

int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...)
{
	(void)directory;
	return open(path, flags);
}

/* A name as ps(1) shows it, in a line of /proc/PID/stat. The start time is the 22nd field. */
static size_t write_stat(char *to, size_t room, struct piece name, const char *started)
{
	int size = snprintf(to, room, "1 (%.*s) S 1 1 1 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 %s 1 1", (int)name.size,
			    (const char *)name.data, started);

	return size < 0 || (size_t)size >= room ? room - 1 : (size_t)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char stat_line[TEXT_BYTES];
	struct input input = {data, size};
	struct piece name = input_piece(&input);
	struct piece owner = input_piece(&input);

	/* Both files have the same content here: only a look beyond it matters. */
	file_set(input.at, input.left, 0);
	(void)lives(1, "12");
	file_set(owner.data, owner.size, 0);
	(void)owner_lives(AT_FDCWD, 0);
	(void)owner_kind(AT_FDCWD);
	/* A name may have blanks and parentheses, and is short. */
	if (name.size < 64) {
		size_t length = write_stat(stat_line, sizeof(stat_line), name, "4711");

		file_set((const uint8_t *)stat_line, length, 0);
		check(memchr(name.data, '\0', name.size) != NULL || lives(1, "4711"), "its start time is found");
		check(memchr(name.data, '\0', name.size) != NULL || !lives(1, "471"), "another is not");
	}
	check(file_count_open() == 0, "files are closed");
	file_set(NULL, 0, 0);
	return 0;
}
