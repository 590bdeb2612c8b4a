#include "process/exec.h"

#include "transport/protocol.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SHELL "/bin/sh"

static const char *search_path(char **environment)
{
	for (; *environment != NULL; environment++) {
		if (strncmp(*environment, "PATH=", 5) == 0)
			return *environment + 5;
	}
	return DEFAULT_PATH;
}

/* The shell runs a file in a format that the kernel does not know, as every shell does. */
static void exec_file(char *path, char **argv, char **environment)
{
	char *name = argv[0];

	(void)execve(path, argv, environment);
	if (errno != ENOEXEC)
		return;
	argv[-1] = (char[]){SHELL};
	argv[0] = path;
	(void)execve(SHELL, argv - 1, environment);
	argv[0] = name;
	errno = ENOEXEC;
}

/* Errors that mean: not here, but perhaps in the next directory. */
static int look_further(int error)
{
	switch (error) {
	case EACCES:
	case ENOENT:
	case ENOTDIR:
	case ENODEV:
	case ESTALE:
	case ETIMEDOUT:
	case ENAMETOOLONG:
	case ELOOP:
		return 1;
	default:
		return 0;
	}
}

int exec_program(char **argv, char **environment, const char **path)
{
	static char candidate[VS_MAX_PATH_BYTES + 1];
	static char denied[VS_MAX_PATH_BYTES + 1];
	const char *directory;
	char *name = argv[0];
	size_t name_size = strlen(name);

	*path = name;
	if (strchr(name, '/') != NULL || name_size == 0) {
		exec_file(name, argv, environment);
		return errno;
	}
	for (directory = search_path(environment);; directory++) {
		size_t size = strcspn(directory, ":");

		if (size + 1 + name_size < sizeof(candidate)) {
			/* An empty entry is the current directory. */
			memcpy(candidate, directory, size);
			candidate[size] = '/';
			memcpy(candidate + size + (size > 0), name, name_size + 1);
			exec_file(candidate, argv, environment);
			if (errno == EACCES && denied[0] == '\0')
				memcpy(denied, candidate, sizeof(denied));
			if (!look_further(errno)) {
				*path = candidate;
				return errno;
			}
		}
		directory += size;
		if (*directory == '\0')
			break;
	}
	if (denied[0] == '\0')
		return ENOENT;
	*path = denied;
	return EACCES;
}
