#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES (1 << 20)

static const struct {
	const char *word;
	enum access access;
} accesses[] = {
	{"read", ACCESS_READ},
	{"write", ACCESS_WRITE},
	{"read-device", ACCESS_READ_DEVICE},
	{"device", ACCESS_DEVICE},
};

#define ACCESSES (sizeof(accesses) / sizeof(accesses[0]))

/* The whole file, with a NUL behind it. */
static char *read_file(const char *path, size_t *size)
{
	struct stat info;
	char *text = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &info) == 0) {
		if (info.st_size > MAX_BYTES)
			errno = EFBIG;
		else
			text = malloc((size_t)info.st_size + 1);
	}
	if (text != NULL)
		n = read(fd, text, (size_t)info.st_size);
	(void)close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*size = (size_t)n;
	return text;
}

/* A rule, or what is said once. false: it is neither. */
static bool take(struct rules *rules, const char *word, const char *path)
{
	if (strcmp(word, "report") == 0) {
		rules->report = path;
		return true;
	}
	if (strcmp(word, "root") == 0) {
		rules->root = path;
		return true;
	}
	for (size_t i = 0; i < ACCESSES; i++) {
		if (strcmp(word, accesses[i].word) == 0) {
			rules->all[rules->count++] = (struct rule){.access = accesses[i].access, .path = path};
			return true;
		}
	}
	return false;
}

static bool parse(struct rules *rules, const char *at, const char *end)
{
	while (at < end) {
		const char *word = at;

		at += strlen(at) + 1;
		if (strcmp(word, "read-all") == 0) {
			rules->reads = false;
		} else if (strcmp(word, "network") == 0) {
			rules->network = false;
		} else if (strcmp(word, "metadata") == 0) {
			rules->metadata = false;
		} else if (strcmp(word, "calls-only") == 0) {
			rules->calls_only = true;
		} else {
			if (at >= end || *at != '/' || !take(rules, word, at))
				return false;
			at += strlen(at) + 1;
		}
	}
	return rules->report != NULL || rules->calls_only;
}

int rules_read(struct rules *rules, const char *file)
{
	size_t size;
	char *text = read_file(file, &size);

	if (text == NULL)
		return -1;
	/* No rule is shorter than two bytes. */
	*rules = (struct rules){
		.all = calloc(size / 2 + 1, sizeof(struct rule)), .reads = true, .network = true, .metadata = true};
	if (rules->all == NULL)
		return -1;
	if (parse(rules, text, text + size))
		return 0;
	errno = EINVAL;
	return -1;
}
