#include "harness/tree.h"

#include "harness/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the files are: in this process' mount namespace, so that nothing of them is left. */
#define PLACE "/mnt"

#define NAMES 6
static const char *const names[NAMES] = {"one", "two", "three", "four", "five", "six"};
static const char *const odd[] = {"", ".", "..", "a/b"};
static int tree = -1;

static void make_place(void)
{
	const int spaces = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;

	check(unshare(spaces) == 0, "a mount namespace");
	check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "a private one");
	check(mount("none", PLACE, "tmpfs", 0, "size=1m") == 0, "a file system");
	tree = open(PLACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(tree >= 0, "its directory");
}

static void make_file(const char *name)
{
	char content[256];
	int fd = openat(tree, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	(void)memset(content, TREE_CONTENT, sizeof(content));
	if (fd < 0)
		return;
	check(write(fd, content, sizeof(content)) == (ssize_t)sizeof(content), "a file is written");
	(void)close(fd);
}

/* Removes what is there, with what is below it. */
static void clear(const char *name, int level)
{
	char path[512];

	if (unlinkat(tree, name, 0) == 0 || unlinkat(tree, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY)
		return;
	check(level < 64, "no deeper than an input has changes");
	for (size_t at = 0; at < NAMES; at++) {
		(void)snprintf(path, sizeof(path), "%s/%s", name, names[at]);
		clear(path, level + 1);
	}
	(void)unlinkat(tree, name, AT_REMOVEDIR);
}

int tree_open(void)
{
	if (tree < 0)
		make_place();
	for (size_t at = 0; at < NAMES; at++)
		clear(names[at], 0);
	make_file("one");
	(void)mkdirat(tree, "two", 0755);
	make_file("two/one");
	(void)mkdirat(tree, "two/three", 0755);
	(void)symlinkat("one", tree, "four");
	return open(PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

const char *tree_name(uint8_t which)
{
	const size_t at = which % (NAMES + 2);

	return at < NAMES ? names[at] : odd[(which / (NAMES + 2)) % 4];
}

void tree_change(uint8_t how, uint8_t which)
{
	char from[64], to[64];

	/* Some of them in a directory. */
	(void)snprintf(from, sizeof(from), "%s%s", which & 0x40 ? "two/" : "", names[which % NAMES]);
	(void)snprintf(to, sizeof(to), "%s%s", which & 0x80 ? "three/" : "", names[how / 8 % NAMES]);
	switch (how % 8) {
	case 0:
	case 1:
		(void)renameat(tree, from, tree, to);
		break;
	case 2:
		(void)linkat(tree, from, tree, to, 0);
		break;
	case 3:
		clear(from, 0);
		break;
	case 4:
		(void)mkdirat(tree, from, 0755);
		break;
	case 5:
		/* Another one of the same name, and perhaps of the same number. */
		(void)unlinkat(tree, from, 0);
		(void)symlinkat(names[how / 8 % NAMES], tree, from);
		break;
	default:
		make_file(from);
	}
}
