/*
 * Confines an ordinary user's QEMU: its guest may take it over, and it must not be able to do then what the user can.
 * libvirt starts this program in QEMU's place:
 *
 *   DIRECTORY/qemu-wall QEMU'S ARGUMENTS...
 *
 * Root's QEMU has a user of its own. It owns its disks where it finds them, so it may not change their modes: a program
 * of root's that anybody executes would be made of one.
 *
 * DIRECTORY/qemu leads to QEMU. VIRT_SANDBOX_WALL in the environment names the file with the rules: rules.h. Without it
 * libvirt asks what QEMU can do, and QEMU is executed as it is.
 *
 * Reading order, which is the order of its life:
 *
 *   rules.h       what the launcher allows this QEMU
 *   sockets.h     the connections, which QEMU inherits
 *   root.h        the root share, which is in a mount namespace that QEMU could not reach any more
 *   system.h      what every QEMU reads and writes
 *   landlock.h    files, TCP and signals: the kernel may know none or some of it
 *   calls.h       system calls: sockets of any kind, keys, System V memory
 */
#include "calls.h"
#include "landlock.h"
#include "root.h"
#include "rules.h"
#include "sockets.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define RULES_VARIABLE "VIRT_SANDBOX_WALL"
#define CANNOT_RUN 127

static int fail(const char *what)
{
	(void)dprintf(STDERR_FILENO, "qemu-wall: %s: %s\n", what, strerror(errno));
	return CANNOT_RUN;
}

/* Where DIRECTORY/qemu leads. */
static int find_qemu(char path[PATH_MAX])
{
	const char *self = (const char *)getauxval(AT_EXECFN);
	const char *name = self == NULL ? NULL : strrchr(self, '/');
	char link[PATH_MAX];

	if (name == NULL ||
	    (size_t)snprintf(link, sizeof(link), "%.*s/qemu", (int)(name - self), self) >= sizeof(link)) {
		errno = ENOENT;
		return -1;
	}
	return realpath(link, path) == NULL ? -1 : 0;
}

/* The launcher tells a person how much there is. */
static int report(const char *path, int version)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0)
		return -1;

	int written = dprintf(fd, "%d\n", version);

	return close(fd) == 0 && written > 0 ? 0 : -1;
}

static int allow_rules(const struct landlock *wall, const struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->all[i];

		if (landlock_allow_path(wall, rule->path, rule->access) != 0)
			return -1;
	}
	return 0;
}

/* NULL, or what failed with errno. */
static const char *enter_landlock(struct landlock *wall, const struct rules *rules, const char *qemu,
				  char *const arguments[])
{
	int root = -1;

	if (landlock_create(wall, &(struct landlock_walls){.reads = rules->reads, .network = rules->network}) != 0)
		return "landlock_create_ruleset";
	if (rules->root != NULL && root_keep(rules->root, &root) != 0)
		return rules->root;
	if (root >= 0 && landlock_allow(wall, root, ACCESS_READ) != 0)
		return "landlock_add_rule";
	if (system_allow(wall, qemu, arguments) != 0 || allow_rules(wall, rules) != 0)
		return "landlock_add_rule";
	return landlock_enter(wall) == 0 ? NULL : "landlock_restrict_self";
}

/* NULL, or what failed with errno. */
static const char *confine_files(const struct rules *rules, const char *qemu, char *arguments[])
{
	struct landlock wall = {.version = landlock_version()};
	const char *failed;

	if (report(rules->report, wall.version) != 0)
		return rules->report;
	if (sockets_connect(arguments, &failed) != 0)
		return failed;
	return wall.version == 0 ? NULL : enter_landlock(&wall, rules, qemu, arguments);
}

/* NULL, or what failed with errno. */
static const char *confine(const char *file, const char *qemu, char *arguments[])
{
	struct rules rules;
	const char *failed;

	if (rules_read(&rules, file) != 0)
		return file;
	failed = rules.calls_only ? NULL : confine_files(&rules, qemu, arguments);
	if (failed != NULL)
		return failed;

	const struct calls calls = {.sockets = rules.network && !rules.calls_only, .metadata = rules.metadata};

	return calls_refuse(&calls) == 0 ? NULL : "seccomp";
}

int main(int argc, char *argv[])
{
	char qemu[PATH_MAX];
	const char *rules = getenv(RULES_VARIABLE);
	const char *failed;

	if (argc < 1 || find_qemu(qemu) != 0)
		return fail("cannot find QEMU");
	failed = rules == NULL ? NULL : confine(rules, qemu, argv);
	if (failed != NULL)
		return fail(failed);
	argv[0] = qemu;
	(void)execv(qemu, argv);
	return fail(qemu);
}
