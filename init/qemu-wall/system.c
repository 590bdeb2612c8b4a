#include "system.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Programs, libraries and settings, of distributions that keep them elsewhere too. */
static const char *const readable[] = {
	"/usr",
	"/lib",
	"/lib32",
	"/lib64",
	"/etc/alternatives",
	"/etc/crypto-policies",
	"/etc/gnutls",
	"/etc/group",
	"/etc/host.conf",
	"/etc/hosts",
	"/etc/ld.so.cache",
	"/etc/localtime",
	"/etc/nsswitch.conf",
	"/etc/passwd",
	"/etc/pki",
	"/etc/qemu",
	"/etc/resolv.conf",
	"/etc/services",
	"/etc/ssl/openssl.cnf",
	"/etc/static",
	"/nix/store",
	"/gnu/store",
	"/run/current-system",
	/* No process is in these. */
	"/proc/cpuinfo",
	"/proc/filesystems",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/sys",
	"/proc/version",
	"/sys/devices/system",
	"/sys/kernel/mm",
	"/sys/module",
};

static const char *const devices[] = {
	"/dev/full", "/dev/kvm", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero",
};

/* Where a QEMU that was not installed in /usr has its files, from the directory that it is in. */
static const char *const beside[] = {"", "/../lib", "/../lib64", "/../libexec", "/../share", "/../pc-bios"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* libvirt's key for this QEMU, in a directory with those of others: {"qom-type":"secret", …, "file":"PATH"}. */
#define SECRET "{\"qom-type\":\"secret\""
#define FILE_KEY "\"file\":\""

/*
 * libvirt's memory for this QEMU, where a server of files shares it: a file that QEMU makes in a directory of its own. A
 * snapshot's memory has another id.
 */
#define MEMORY "{\"qom-type\":\"memory-backend-file\",\"id\":\"pc.ram\",\"mem-path\":\""
#define MEMORY_FILE "/pc.ram"

static int allow_beside(const struct landlock *wall, const char *qemu)
{
	char path[PATH_MAX];
	int length = (int)(strrchr(qemu, '/') - qemu);

	for (size_t i = 0; i < COUNT(beside); i++) {
		/* A directory that is not /: only a QEMU in / would have that. */
		if (length == 0)
			return 0;
		if ((size_t)snprintf(path, sizeof(path), "%.*s%s", length, qemu, beside[i]) >= sizeof(path)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (landlock_allow_path(wall, path, ACCESS_READ) != 0)
			return -1;
	}
	return 0;
}

/*
 * Copies a value of JSON to `path`, of PATH_MAX bytes. False: there is none here, or it has an escape that no path needs.
 * What is not understood gets no rule: one for a part of it would be one for a directory above.
 */
static bool read_path(const char *start, char *path)
{
	size_t length = 0;

	for (const char *at = start; *at != '"'; at++) {
		if (*at == '\\' && *++at != '"' && *at != '\\')
			return false;
		if (*at == '\0' || length + 1 >= PATH_MAX)
			return false;
		path[length++] = *at;
	}
	path[length] = '\0';
	return true;
}

static int allow_secret(const struct landlock *wall, const char *argument)
{
	char path[PATH_MAX];
	const char *key = strstr(argument, FILE_KEY);

	if (key == NULL || !read_path(key + strlen(FILE_KEY), path))
		return 0;
	return landlock_allow_path(wall, path, ACCESS_READ);
}

static int allow_memory(const struct landlock *wall, const char *argument)
{
	char path[PATH_MAX];

	if (!read_path(argument + strlen(MEMORY), path))
		return 0;
	char *file = strrchr(path, '/');

	/* Its directory, which is never /. */
	if (file == NULL || file == path || strcmp(file, MEMORY_FILE) != 0)
		return 0;
	*file = '\0';
	return landlock_allow_path(wall, path, ACCESS_WRITE);
}

int system_allow(const struct landlock *wall, const char *qemu, char *const arguments[])
{
	for (size_t i = 0; i < COUNT(readable); i++) {
		if (landlock_allow_path(wall, readable[i], ACCESS_READ) != 0)
			return -1;
	}
	for (size_t i = 0; i < COUNT(devices); i++) {
		if (landlock_allow_path(wall, devices[i], ACCESS_DEVICE) != 0)
			return -1;
	}
	for (size_t i = 0; arguments[i] != NULL; i++) {
		if (strncmp(arguments[i], SECRET, strlen(SECRET)) == 0 && allow_secret(wall, arguments[i]) != 0)
			return -1;
		if (strncmp(arguments[i], MEMORY, strlen(MEMORY)) == 0 && allow_memory(wall, arguments[i]) != 0)
			return -1;
	}
	return allow_beside(wall, qemu);
}
