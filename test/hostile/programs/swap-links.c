/*
 * swap-links DIRECTORY TARGET: exchanges each entry of DIRECTORY that a copy makes, and `sub`, with a link to TARGET and
 * back, as fast as it can, until it is killed. It prints a line when it has begun.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void swap(const char *name)
{
	(void)renameat2(AT_FDCWD, name, AT_FDCWD, ".link", RENAME_EXCHANGE);
}

int main(int argc, char *argv[])
{
	if (argc != 3 || chdir(argv[1]) != 0 || symlink(argv[2], ".link") != 0)
		return 1;
	puts("swapping");
	if (fflush(stdout) != 0)
		return 1;
	for (;;) {
		/* Half of the time what a copy reads is a link. */
		swap("tree");
		if (chdir("tree") != 0)
			continue;
		(void)symlink(argv[2], ".link");
		for (int i = 0; i < 64; i++)
			swap("sub");
		if (chdir(argv[1]) != 0)
			return 1;
	}
}
