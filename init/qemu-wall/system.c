#include "system.h"

#include <errno.h>
#include <limits.h>
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

/* Allows the path from `start` up to `end`. Nothing without an end. */
static int allow_part(const struct landlock *wall, const char *start, const char *end, enum access access)
{
	char path[PATH_MAX];

	if (end == NULL)
		return 0;
	if ((size_t)snprintf(path, sizeof(path), "%.*s", (int)(end - start), start) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return landlock_allow_path(wall, path, access);
}

static int allow_secret(const struct landlock *wall, const char *argument)
{
	const char *key = strstr(argument, FILE_KEY);
	const char *start = key == NULL ? NULL : key + strlen(FILE_KEY);

	return start == NULL ? 0 : allow_part(wall, start, strchr(start, '"'), ACCESS_READ);
}

static int allow_memory(const struct landlock *wall, const char *argument)
{
	const char *start = argument + strlen(MEMORY);
	const char *end = strchr(start, '"');

	while (end != NULL && end > start && *end != '/')
		end--;
	return end == start ? 0 : allow_part(wall, start, end, ACCESS_WRITE);
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
