#include "sockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEVICE "socket,"
#define PATH_OPTION ",path="
#define NETWORK "{\"type\":\"stream\","
#define ADDRESS "\"addr\":{\"type\":\"unix\",\"path\":\""

/* Part of an argument that is replaced. */
struct part {
	const char *start;
	const char *end;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* Copies a value up to its end, without what escapes a character in it. NULL: it has no end, or is too long. */
static const char *copy_value(struct part *part, const char *at, char escape, char last)
{
	size_t length = 0;

	while (*at != '\0' && (*at != last || (escape == last && at[1] == last))) {
		if (*at == escape && *++at == '\0')
			return NULL;
		if (length + 1 >= sizeof(part->path))
			return NULL;
		part->path[length++] = *at++;
	}
	part->path[length] = '\0';
	return length == 0 ? NULL : at;
}

/* In an option list a comma in a value is doubled. */
static bool find_device(const char *argument, struct part *part)
{
	if (strncmp(argument, DEVICE, strlen(DEVICE)) != 0 || strstr(argument, ",server=on") != NULL)
		return false;
	part->start = strstr(argument, PATH_OPTION);
	if (part->start == NULL)
		return false;
	part->end = copy_value(part, part->start + strlen(PATH_OPTION), ',', ',');
	return part->end != NULL;
}

static bool find_network(const char *argument, struct part *part)
{
	if (strncmp(argument, NETWORK, strlen(NETWORK)) != 0)
		return false;
	part->start = strstr(argument, ADDRESS);
	if (part->start == NULL)
		return false;
	part->end = copy_value(part, part->start + strlen(ADDRESS), '\\', '"');
	return part->end != NULL && *part->end == '"';
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* QEMU inherits it. */
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	(void)strcpy(address.sun_path, path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;

	int error = errno;

	(void)close(fd);
	errno = error;
	return -1;
}

/* The argument with a text in place of the part, from a format for the descriptor. */
static char *replace(const char *argument, const struct part *part, const char *format, int fd)
{
	char text[64];
	char *result;

	(void)snprintf(text, sizeof(text), format, fd);
	return asprintf(&result, "%.*s%s%s", (int)(part->start - argument), argument, text, part->end) < 0 ? NULL
													   : result;
}

static int connect_argument(char **argument, const struct part *part, const char *format, const char **failed)
{
	int fd = connect_to(part->path);

	if (fd < 0) {
		*failed = strdup(part->path);
		return -1;
	}
	*argument = replace(*argument, part, format, fd);
	*failed = "memory";
	return *argument == NULL ? -1 : 0;
}

int sockets_connect(char *arguments[], const char **failed)
{
	struct part part;
	int result = 0;

	for (size_t i = 1; arguments[i] != NULL && result == 0; i++) {
		if (strcmp(arguments[i - 1], "-chardev") == 0 && find_device(arguments[i], &part))
			result = connect_argument(&arguments[i], &part, ",fd=%d", failed);
		else if (strcmp(arguments[i - 1], "-netdev") == 0 && find_network(arguments[i], &part))
			result = connect_argument(&arguments[i], &part, "\"addr\":{\"type\":\"fd\",\"str\":\"%d",
						  failed);
	}
	return result;
}
