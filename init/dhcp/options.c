#include "options.h"

#include <string.h>

#define OVERLOAD_FILE 1
#define OVERLOAD_SNAME 2

/* Adds the parts of an option that this field holds. True if there is one, even an empty one. */
static bool collect(struct option *option, const uint8_t *field, size_t size, uint8_t code)
{
	bool found = false;

	for (size_t at = 0; at < size && field[at] != OPTION_END;) {
		size_t length;

		if (field[at] == OPTION_PAD) {
			at++;
			continue;
		}
		if (size - at < 2 || size - at - 2 < field[at + 1])
			return found; /* the option is cut off */
		length = field[at + 1];
		if (field[at] == code && length <= sizeof(option->data) - option->size) {
			memcpy(option->data + option->size, field + at + 2, length);
			option->size += length;
			found = true;
		}
		at += 2 + length;
	}
	return found;
}

bool option_find(struct option *option, const uint8_t *message, size_t size, uint8_t code)
{
	struct option overload = {.size = 0};
	bool found;

	option->size = 0;
	found = collect(option, message + AT_OPTIONS, size - AT_OPTIONS, code);
	/* A server short of space puts options into the fields for file names. */
	if (!collect(&overload, message + AT_OPTIONS, size - AT_OPTIONS, OPTION_OVERLOAD) || overload.size != 1)
		return found;
	if ((overload.data[0] & OVERLOAD_FILE) != 0)
		found = collect(option, message + AT_FILE, FILE_BYTES, code) || found;
	if ((overload.data[0] & OVERLOAD_SNAME) != 0)
		found = collect(option, message + AT_SNAME, SNAME_BYTES, code) || found;
	return found;
}
