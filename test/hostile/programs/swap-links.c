/*
 * swap-links DIRECTORY TARGET HOST: exchanges each entry of DIRECTORY that a copy makes, and `sub`, with a link to TARGET
 * and back, and `sub` with one to HOST, as fast as it can, until it is killed. It prints a line when it has begun.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void swap(const char *name, const char *link)
{
	(void)renameat2(AT_FDCWD, name, AT_FDCWD, link, RENAME_EXCHANGE);
}

int main(int argc, char *argv[])
{
	if (argc != 4 || chdir(argv[1]) != 0 || symlink(argv[2], ".link") != 0)
		return 1;
	puts("swapping");
	if (fflush(stdout) != 0)
		return 1;
	for (;;) {
		/* Half of the time what a copy reads is a link. */
		swap("tree", ".link");
		if (chdir("tree") != 0)
			continue;
		(void)symlink(argv[2], ".link");
		(void)symlink(argv[3], ".host");
		/* Each link is there, and back, before the other one is. */
		for (int i = 0; i < 64; i++)
			swap("sub", i % 4 < 2 ? ".link" : ".host");
		if (chdir(argv[1]) != 0)
			return 1;
	}
}
