/** A program that has what it writes in memory alone: in a page of a file, which nobody writes out. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** map-file FILE TEXT: is over when the text is in the page. A process stays behind, since its end would write it. */
const MAPPER = `
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int map(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	char *page;

	if (fd < 0 || ftruncate(fd, (off_t)strlen(text)) < 0)
		return -1;
	page = mmap(NULL, strlen(text), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -1;
	memcpy(page, text, strlen(text));
	return 0;
}

int main(int argc, char *argv[])
{
	int done[2];
	char byte;

	if (argc != 3 || pipe(done) < 0)
		return 2;
	if (fork() != 0) {
		close(done[1]);
		return read(done[0], &byte, 1) == 1 ? 0 : 1;
	}
	if (map(argv[1], argv[2]) < 0) {
		perror(argv[1]);
		return 1;
	}
	if (write(done[1], "d", 1) != 1)
		return 1;
	pause();
	return 0;
}
`;

/** Builds the program in a directory, and returns its path. */
export function buildMapper(directory: string): string {
  const path = join(directory, 'map-file');
  execFileSync('gcc', ['-static', '-x', 'c', '-o', path, '-'], {
    input: MAPPER,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  return path;
}
