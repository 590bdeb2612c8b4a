#include "shutdown/mount_table.h"

#include "util/macros.h"

#include <string.h>

/* Where the target is in a line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
#define TARGET_FIELD 4

static const char *const volatile_types[] = {
	"tmpfs",     "devtmpfs", "ramfs",       "rootfs",    "proc",       "sysfs",  "devpts", "cgroup",
	"cgroup2",   "mqueue",   "debugfs",     "tracefs",   "securityfs", "pstore", "bpf",    "configfs",
	"hugetlbfs", "fusectl",  "binfmt_misc", "selinuxfs", "efivarfs",   "nsfs",
};

static bool is_octal(char digit)
{
	return digit >= '0' && digit <= '7';
}

/* The kernel writes blanks and backslashes of a path as three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	for (char *from = text; *from != '\0';) {
		if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) && is_octal(from[3])) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static char *field(char *line, int index)
{
	char *rest;
	char *word = strtok_r(line, " ", &rest);

	while (word != NULL && index-- > 0)
		word = strtok_r(NULL, " ", &rest);
	return word;
}

static bool has_option(const char *options, const char *option)
{
	size_t size = strlen(option);

	for (;;) {
		size_t part = strcspn(options, ",");

		if (part == size && memcmp(options, option, size) == 0)
			return true;
		options += part;
		if (*options++ == '\0')
			return false;
	}
}

static bool parse_line(char *line, struct mount_entry *entry)
{
	char *rest;
	char *separator = strstr(line, " - ");
	const char *options;

	if (separator == NULL)
		return false;
	*separator = '\0';
	entry->target = field(line, TARGET_FIELD);
	entry->type = strtok_r(separator + 3, " ", &rest);
	(void)strtok_r(NULL, " ", &rest);
	options = strtok_r(NULL, " ", &rest);
	if (entry->target == NULL || entry->type == NULL || options == NULL)
		return false;
	unescape(entry->target);
	entry->read_only = has_option(options, "ro");
	return true;
}

size_t mounts_parse(char *text, struct mount_entry *mounts, size_t limit)
{
	size_t count = 0;
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line != NULL && count < limit;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (parse_line(line, &mounts[count]))
			count++;
	}
	return count;
}

bool mount_holds_data(const struct mount_entry *entry)
{
	if (entry->read_only)
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(volatile_types); i++) {
		if (strcmp(entry->type, volatile_types[i]) == 0)
			return false;
	}
	return true;
}
