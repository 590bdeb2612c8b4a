#include "arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A page for each inode of the tmpfs; a smaller one holds nothing. */
#define MIN_BYTES 65536
#define MAX_WAIT_SECONDS 3600

static bool parse_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = text == NULL || *text < '0' || *text > '9' ? UINT64_MAX : strtoull(text, &end, 10);
	return errno == 0 && *number <= max && *end == '\0';
}

/* UINT32_MAX is no id: setresuid(2) takes it for no change, which is root. */
static bool parse_id(const char *text, uint32_t *id)
{
	uint64_t number;

	if (!parse_number(text, UINT32_MAX - 1, &number))
		return false;
	*id = (uint32_t)number;
	return true;
}

static bool parse_range(char *words[], struct id_map *map)
{
	struct id_range *range = &map->ranges[map->count];

	if (map->count == MAX_RANGES || !parse_id(words[0], &range->inside) || !parse_id(words[1], &range->outside) ||
	    !parse_id(words[2], &range->count) || range->count == 0)
		return false;
	map->count++;
	return true;
}

/* How many words an option takes, or 0 for one that is not understood. */
static int parse_option(char *words[], int left, struct arguments *options)
{
	const char *name = words[0];

	if (strcmp(name, "--reader") == 0 && left > 2 && !options->has_reader) {
		options->has_reader = parse_id(words[1], &options->uid) && parse_id(words[2], &options->gid);
		/* Root would read everything. */
		return options->has_reader && options->uid != 0 ? 3 : 0;
	}
	if (strcmp(name, "--image") == 0) {
		options->is_image = true;
		return 1;
	}
	if (strcmp(name, "--group") == 0 && left > 1 && options->group_count < MAX_GROUPS)
		return parse_id(words[1], &options->groups[options->group_count++]) ? 2 : 0;
	if (strcmp(name, "--kept") == 0 && left > 1 && words[1][0] == '/' && options->kept == NULL) {
		options->kept = words[1];
		return 2;
	}
	if (strcmp(name, "--wait") == 0 && left > 1)
		return parse_number(words[1], MAX_WAIT_SECONDS, &options->wait_seconds) ? 2 : 0;
	if (strcmp(name, "--empty") == 0 && left > 1 && words[1][0] == '/' &&
	    options->empty_file_count < MAX_EMPTY_FILES) {
		options->empty_files[options->empty_file_count++] = words[1] + 1;
		return 2;
	}
	if (strcmp(name, "--uid") == 0 && left > 3)
		return parse_range(words + 1, &options->uids) ? 4 : 0;
	if (strcmp(name, "--gid") == 0 && left > 3)
		return parse_range(words + 1, &options->gids) ? 4 : 0;
	return 0;
}

bool arguments_parse(int argc, char *argv[], struct arguments *options)
{
	int at = 1;

	while (at < argc && strncmp(argv[at], "--", 2) == 0) {
		int words = parse_option(argv + at, argc - at, options);

		if (words == 0)
			return false;
		at += words;
	}
	if (argc - at != 2 || argv[at][0] != '/' || (options->uids.count == 0) != (options->gids.count == 0))
		return false;
	if (options->has_reader ? options->is_image : options->group_count > 0)
		return false;
	/* Ids without a reader make root inside the owner of everything, and let it read that. */
	if (options->uids.count > 0 && !options->has_reader && !options->is_image)
		return false;
	options->root = argv[at];
	return parse_number(argv[at + 1], INT64_MAX, &options->bytes) && options->bytes >= MIN_BYTES;
}
