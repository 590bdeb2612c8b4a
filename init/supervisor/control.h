/* The launcher's orders: lines of text. */
#ifndef VS_CONTROL_H
#define VS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A line contains a domain's name, which has at most 255 bytes. */
#define CONTROL_BYTES 512

/* What the launcher has sent and was not taken yet. */
struct control {
	char text[CONTROL_BYTES];
	size_t length;
};

/* Reads what has arrived. False if the launcher's end is closed, or what it sent cannot be an order. */
bool control_read(struct control *control, int fd);

/* Takes the next whole line, without its newline. False if there is none. `line` has CONTROL_BYTES bytes. */
bool control_next(struct control *control, char *line);

/*
 * Whether a line is the order `word` about a process. *pid is 0 if its number cannot be one, and *argument points into
 * the line.
 */
bool control_is(const char *word, const char *line, pid_t *pid, const char **argument);

#endif
