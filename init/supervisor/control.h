#ifndef VS_CONTROL_H
#define VS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

/* A line has the name of a domain in it, of at most 255 bytes. */
#define CONTROL_BYTES 512

/* What the launcher has said so far and was not taken yet. */
struct control {
	char text[CONTROL_BYTES];
	size_t length;
};

/* Reads what is there. Returns false when the launcher's end is closed, or says what cannot be an order. */
bool control_read(struct control *control, int fd);

/* Takes the next whole line, without its end; false when there is none. `line` has CONTROL_BYTES bytes. */
bool control_next(struct control *control, char *line);

#endif
