/*
 * QEMU's command line, in which qemu-wall replaces paths of sockets by descriptors. It has names that a user chose.
 *
 * What must hold: a path that is connected to is not longer than an address, and words stay strings.
 */
#include "sockets.h"

#include "harness/check.h"
#include "harness/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MOST_WORDS 16
/* A descriptor that no process has. */
#define SOCKET 6000

int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	(void)type;
	(void)protocol;
	check(family == AF_UNIX, "a Unix socket");
	return SOCKET;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	const struct sockaddr_un *unix_address = (const struct sockaddr_un *)(const void *)address;
	size_t length = strnlen(unix_address->sun_path, sizeof(unix_address->sun_path));

	check(fd == SOCKET && size == sizeof(*unix_address), "a Unix address");
	check(length > 0 && length < sizeof(unix_address->sun_path), "a path ends");
	/* One path in four leads nowhere. */
	if (unix_address->sun_path[0] % 4 == 0) {
		errno = ENOENT;
		return -1;
	}
	return 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	return fd == SOCKET ? 0 : __real_close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char **words = input_words(data, size, MOST_WORDS);
	char *old[MOST_WORDS + 1] = {NULL};
	const char *failed = NULL;

	for (size_t i = 0; words[i] != NULL; i++)
		old[i] = words[i];
	if (words[0] != NULL && sockets_connect(words, &failed) != 0) {
		check(failed != NULL, "what failed is said");
		if (strcmp(failed, "memory") != 0)
			free((void *)(uintptr_t)failed);
	}
	/* A word that was replaced is of its own; the program is executed soon and frees none. */
	for (size_t i = 0; old[i] != NULL; i++) {
		if (old[i] != words[i]) {
			check(strstr(words[i], "fd") != NULL, "a descriptor stands in place of the path");
			free(old[i]);
		}
	}
	input_free_words(words);
	return 0;
}
