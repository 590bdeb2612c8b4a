#include "arguments.h"

#include <string.h>

/* The words behind an option, or NULL if there are too few. */
static char **values(char ***at, int count)
{
	char **first = *at;

	for (int i = 0; i < count; i++, (*at)++) {
		if (**at == NULL)
			return NULL;
	}
	return first;
}

bool arguments_parse(char **at, struct arguments *options, struct view_entry *entries)
{
	struct view *view = &options->view;

	view->entries = entries;
	while (*at != NULL && strncmp(*at, "--", 2) == 0) {
		const char *word = *at++;
		bool hide = strcmp(word, "--hide") == 0;
		char **value;

		if (strcmp(word, "--or-all") == 0) {
			options->or_all = true;
		} else if (strcmp(word, "--no-network") == 0) {
			options->no_network = true;
		} else if (hide || strcmp(word, "--show") == 0) {
			value = values(&at, 1);
			if (value == NULL)
				return false;
			entries[view->count++] = (struct view_entry){.hide = hide, .path = value[0]};
		} else if (strcmp(word, "--daemon") == 0) {
			value = values(&at, 2);
			if (value == NULL)
				return false;
			options->where = DAEMON;
			options->socket = value[0];
			view->point = value[1];
		} else if (strcmp(word, "--private") == 0 || strcmp(word, "--user") == 0) {
			value = values(&at, 1);
			if (value == NULL)
				return false;
			options->where = word[2] == 'u' ? USER : PRIVATE;
			view->point = value[0];
		} else {
			return false;
		}
	}
	view->recursive = options->where == USER;
	char **rest = values(&at, 2);

	if (options->where == NOWHERE || rest == NULL || view->point[0] != '/' || rest[1][0] != '/')
		return false;
	options->link = rest[0];
	view->source = rest[1];
	options->command = at;
	return true;
}
