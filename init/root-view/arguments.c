#include "arguments.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
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

/* UINT32_MAX is no user: chown(2) takes it for no change. */
static bool parse_user(const char *text, uid_t *user)
{
	char *end;

	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	*user = (uid_t)number;
	return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' && number < UINT32_MAX;
}

/* What is behind the options: LINK and SOURCE, unless the view has no root, and the command. */
static bool parse_rest(char **at, struct arguments *options, bool has_root)
{
	struct view *view = &options->view;

	if (options->where == NOWHERE || view->point[0] != '/' || (!has_root && view->count > 0))
		return false;
	/* A user who is not root cannot mount for another one. */
	if (options->where == USER && (!has_root || options->disks.count > 0))
		return false;
	/* Without the view it would serve everything, and a daemon's server is the daemon's to start. */
	if (options->server.program != NULL && (!has_root || options->or_all || options->where == DAEMON))
		return false;
	/* Elsewhere it would be replaced for others too. */
	if (options->replaced != NULL &&
	    (options->where != PRIVATE || *options->replaced != '/' || *options->replacement != '/'))
		return false;
	if (has_root) {
		char **rest = values(&at, 2);

		if (rest == NULL || rest[1][0] != '/')
			return false;
		options->link = rest[0];
		view->source = rest[1];
	}
	options->command = at;
	return true;
}

bool arguments_parse(char **at, struct arguments *options, struct view_entry *entries, struct disk *disks)
{
	struct view *view = &options->view;
	bool has_root = true;

	view->entries = entries;
	options->disks.entries = disks;
	while (*at != NULL && strncmp(*at, "--", 2) == 0) {
		const char *word = *at++;
		bool hide = strcmp(word, "--hide") == 0;
		bool read_only = strcmp(word, "--disk-ro") == 0;
		char **value;

		if (strcmp(word, "--or-all") == 0) {
			options->or_all = true;
		} else if (strcmp(word, "--no-network") == 0) {
			options->no_network = true;
		} else if (strcmp(word, "--no-root") == 0) {
			has_root = false;
		} else if (strcmp(word, "--replace") == 0) {
			value = values(&at, 2);
			if (value == NULL)
				return false;
			options->replaced = value[0];
			options->replacement = value[1];
		} else if (strcmp(word, "--serve") == 0) {
			value = values(&at, 4);
			if (value == NULL || !parse_user(value[2], &options->server.client))
				return false;
			options->server.program = value[0];
			options->server.socket = value[1];
			options->server.cache = value[3];
		} else if (strcmp(word, "--owner") == 0) {
			value = values(&at, 1);
			if (value == NULL || !parse_user(value[0], &options->disks.owner))
				return false;
		} else if (read_only || strcmp(word, "--disk") == 0) {
			value = values(&at, 1);
			if (value == NULL)
				return false;
			disks[options->disks.count++] =
				(struct disk){.path = value[0], .read_only = read_only, .mount = -1};
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
	view->spare_inodes = disks_inodes(&options->disks);
	return parse_rest(at, options, has_root);
}
