/*
 * Reads and writes a disk, and says how quickly: a line for each part, NAME RATE.
 *
 *   disk-io DISK    a block device of at least DISK_BYTES bytes, which the compiler is told. It overwrites it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#define PIECE (1 << 20)
#define BLOCK 4096
#define SINGLE 3000
#define TOGETHER 6000
#define SYNCED 200
#define WORKERS 16

static const char *disk;
static char *buffer;

static int open_disk(int flags)
{
	int fd = open(disk, flags);

	if (fd < 0)
		fail(disk);
	return fd;
}

static void say(const char *name, double amount, double start)
{
	printf("%s %.1f\n", name, amount / (now() - start));
	fflush(stdout);
}

/* Through the guest's page cache, which is empty before and after. */
static void sequence(const char *name, int writes)
{
	int fd = open_disk(writes ? O_WRONLY : O_RDONLY);
	double start = now();

	for (long long at = 0; at < DISK_BYTES; at += PIECE)
		if ((writes ? write(fd, buffer, PIECE) : read(fd, buffer, PIECE)) != PIECE)
			fail(name);
	if (writes && fsync(fd) != 0)
		fail("fsync");
	say(name, DISK_BYTES / 1048576.0, start);
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
		off_t at = (off_t)((state >> 33) % (DISK_BYTES / BLOCK)) * BLOCK;

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
