/*
 * Measures from inside: one static binary, so that every system runs the same.
 *
 *   data-work run DIRECTORY [cold]    the rows of DIRECTORY/rows, then echoes of its stdin. With the argument `marks`
 *                                     as well, it says when a row begins and is done, for those who do not trust the
 *                                     guest's clock
 *   data-work write FILE MIB          writes and syncs
 *   data-work read FILE               reads in sequence
 *   data-work random FILE COUNT       reads 4 KiB at random places
 *
 * It prints a line for each row: row NAME SECONDS STATUS LINES DIGEST CHECK-LINES CHECK-DIGEST LAST-ERROR
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "script.h"

#define PIECE (1 << 20)
#define PAGE 4096

static uint64_t piece[PIECE / 8];

/* The first word of each page of a file. */
static uint64_t word_of(uint64_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15u;
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd < 0)
		fail(path);
	return fd;
}

static void write_file(const char *path, uint64_t mebibytes)
{
	int fd = opened(path, O_WRONLY | O_CREAT | O_TRUNC);

	for (uint64_t at = 0; at < mebibytes; at++) {
		for (int page = 0; page < PIECE / PAGE; page++)
			piece[page * (PAGE / 8)] = word_of(at * (PIECE / PAGE) + (uint64_t)page);
		if (write(fd, piece, PIECE) != PIECE)
			fail(path);
	}
	if (fsync(fd) != 0 || close(fd) != 0)
		fail(path);
}

static void read_file(const char *path)
{
	int fd = opened(path, O_RDONLY);
	uint64_t page = 0;
	ssize_t got;

	while ((got = read(fd, piece, PIECE)) > 0) {
		for (ssize_t at = 0; at < got; at += PAGE, page++)
			if (piece[at / 8] != word_of(page)) {
				fprintf(stderr, "%s: page %llu is wrong\n", path, (unsigned long long)page);
				exit(1);
			}
		if (got % PAGE != 0)
			break;
	}
	if (got < 0)
		fail(path);
	printf("%llu pages\n", (unsigned long long)page);
}

static void read_at_random(const char *path, uint64_t count)
{
	int fd = opened(path, O_RDONLY);
	uint64_t state = 1, pages = (uint64_t)lseek(fd, 0, SEEK_END) / PAGE;

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM) != 0)
		fail("posix_fadvise");
	for (uint64_t at = 0; at < count; at++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		uint64_t page = (state >> 33) % pages;

		if (pread(fd, piece, PAGE, (off_t)(page * PAGE)) != PAGE)
			fail(path);
		if (piece[0] != word_of(page)) {
			fprintf(stderr, "%s: page %llu is wrong\n", path, (unsigned long long)page);
			exit(1);
		}
	}
	printf("%llu reads\n", (unsigned long long)count);
}

static void empty_caches(void)
{
	sync();
	int fd = opened("/proc/sys/vm/drop_caches", O_WRONLY);

	if (write(fd, "3", 1) != 1)
		fail("drop_caches");
	close(fd);
}

static void mark(const char *what, const char *name)
{
	printf("%s %s\n", what, name);
	fflush(stdout);
}

/* A line of the file: NAME, c to empty the caches first, SECONDS, the script, and its check, with tabs between. */
static void run_row(char *line, int may_empty, int has_marks)
{
	char *name = strsep(&line, "\t"), *flags = strsep(&line, "\t"), *limit = strsep(&line, "\t");
	char *script = strsep(&line, "\t"), *check = strsep(&line, "\t");
	struct output output, checked = {0};

	if (check == NULL)
		exit(2);
	if (may_empty && strchr(flags, 'c') != NULL)
		empty_caches();
	if (has_marks)
		mark("begin", name);
	double start = now();
	int status = run_script(script, atoi(limit), &output);
	double seconds = now() - start;

	if (has_marks)
		mark("done", name);

	if (status == 0 && *check != '\0') {
		char *error = checked.error;

		if (run_script(check, atoi(limit), &checked) != 0) {
			status = 125;
			memcpy(output.error, error, sizeof(output.error));
		}
	}
	printf("row %s %.4f %d %llu %llx %llu %llx %s\n", name, seconds, status, (unsigned long long)output.lines,
	       (unsigned long long)output.digest, (unsigned long long)checked.lines, (unsigned long long)checked.digest,
	       output.error);
	fflush(stdout);
}

static void run_rows(const char *directory, int may_empty, int has_marks)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	if (chdir(directory) != 0)
		fail(directory);
	FILE *rows = fopen("rows", "re");

	if (rows == NULL)
		fail("rows");
	while ((length = getline(&line, &size, rows)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		run_row(line, may_empty, has_marks);
	}
	fclose(rows);
}

static void echo(void)
{
	static char bytes[65536];
	ssize_t got;

	printf("echoes\n");
	fflush(stdout);
	/* A dot ends it: not every system passes on the end of its input. */
	while ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0 && bytes[0] != '.')
		if (write(STDOUT_FILENO, bytes, (size_t)got) != got)
			fail("echo");
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "run") == 0) {
		int may_empty = 0, has_marks = 0;

		for (int at = 3; at < argc; at++) {
			may_empty |= strcmp(argv[at], "cold") == 0;
			has_marks |= strcmp(argv[at], "marks") == 0;
		}
		run_rows(argv[2], may_empty, has_marks);
		echo();
	} else if (argc == 4 && strcmp(argv[1], "write") == 0) {
		write_file(argv[2], strtoull(argv[3], NULL, 10));
	} else if (argc == 3 && strcmp(argv[1], "read") == 0) {
		read_file(argv[2]);
	} else if (argc == 4 && strcmp(argv[1], "random") == 0) {
		read_at_random(argv[2], strtoull(argv[3], NULL, 10));
	} else {
		return 2;
	}
	return 0;
}
