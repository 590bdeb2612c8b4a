/** A program that reads and writes a disk, and says how quickly: it has no library, so that any machine can run it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** What is measured, in the order of the program's lines. Each line has a rate. */
export const PARTS = [
  { name: 'write', what: '1 GiB written and synced', unit: 'MiB/s' },
  { name: 'read', what: '1 GiB read', unit: 'MiB/s' },
  { name: 'random-read', what: '4 KiB random reads, one at a time', unit: '/s' },
  { name: 'random-reads', what: '4 KiB random reads, 16 at once', unit: '/s' },
  { name: 'random-write', what: '4 KiB random writes, one at a time', unit: '/s' },
  { name: 'random-writes', what: '4 KiB random writes, 16 at once', unit: '/s' },
  { name: 'synced-write', what: '4 KiB random writes, each synced', unit: '/s' },
] as const;

export type Part = (typeof PARTS)[number]['name'];

/** In bytes: what is read and written in sequence, and the least that the disk must have. */
export const DISK_BYTES = 2 ** 30;

const SOURCE = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SIZE ${DISK_BYTES}LL
#define PIECE (1 << 20)
#define BLOCK 4096
#define SINGLE 3000
#define TOGETHER 6000
#define SYNCED 200
#define WORKERS 16

static const char *disk;
static char *buffer;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
		fail("clock_gettime");
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_disk(int flags)
{
	int fd = open(disk, flags);

	if (fd < 0)
		fail(disk);
	return fd;
}

static void say(const char *name, double amount, double start)
{
	printf("%s %.1f\\n", name, amount / (now() - start));
	fflush(stdout);
}

/* Through the guest's page cache, which is empty before and after. */
static void sequence(const char *name, int writes)
{
	int fd = open_disk(writes ? O_WRONLY : O_RDONLY);
	double start = now();

	for (long long at = 0; at < SIZE; at += PIECE)
		if ((writes ? write(fd, buffer, PIECE) : read(fd, buffer, PIECE)) != PIECE)
			fail(name);
	if (writes && fsync(fd) != 0)
		fail("fsync");
	say(name, SIZE / 1048576.0, start);
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		fail("posix_fadvise");
	close(fd);
}

static void work(int worker, int count, int writes, int syncs)
{
	int fd = open_disk((writes ? O_WRONLY : O_RDONLY) | O_DIRECT);
	uint64_t state = (uint64_t)worker + 1;

	while (count-- > 0) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		off_t at = (off_t)((state >> 33) % (SIZE / BLOCK)) * BLOCK;

		if ((writes ? pwrite(fd, buffer, BLOCK, at) : pread(fd, buffer, BLOCK, at)) != BLOCK)
			fail("4 KiB");
		if (syncs && fdatasync(fd) != 0)
			fail("fdatasync");
	}
	close(fd);
}

/* Past the guest's page cache. */
static void at_random(const char *name, int workers, int count, int writes, int syncs)
{
	double start = now();

	for (int worker = 0; worker < workers; worker++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid == 0) {
			work(worker, count / workers, writes, syncs);
			_exit(0);
		}
	}
	for (int worker = 0; worker < workers; worker++) {
		int status;

		if (wait(&status) < 0 || status != 0)
			fail(name);
	}
	say(name, count / workers * workers, start);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	disk = argv[1];
	buffer = aligned_alloc(BLOCK, PIECE);
	if (buffer == NULL)
		fail("aligned_alloc");
	memset(buffer, 0x5a, PIECE);
	sequence("write", 1);
	sequence("read", 0);
	at_random("random-read", 1, SINGLE, 0, 0);
	at_random("random-reads", WORKERS, TOGETHER, 0, 0);
	at_random("random-write", 1, SINGLE, 1, 0);
	at_random("random-writes", WORKERS, TOGETHER, 1, 0);
	at_random("synced-write", 1, SYNCED, 1, 1);
	return 0;
}
`;

/** Compiles the program. @returns its path, which is `directory`/disk-io */
export function buildDiskIo(directory: string): string {
  const path = join(directory, 'disk-io');
  const words = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-x', 'c', '-o', path, '-'];
  execFileSync('cc', words, { input: SOURCE, stdio: ['pipe', 'inherit', 'inherit'] });
  return path;
}

/**
 * The rates that the program printed.
 * @throws {Error} with the text, if a rate is missing
 */
export function ratesIn(text: string): Record<Part, number> {
  const words = text.split('\n').map((line) => line.split(' '));
  const entries = PARTS.map(({ name }) => [name, Number(words.find(([first]) => first === name)?.[1])] as const);
  if (entries.some(([, rate]) => !(rate > 0))) throw new Error(`disk-io did not print all its rates: ${text}`);
  return Object.fromEntries(entries) as Record<Part, number>;
}
