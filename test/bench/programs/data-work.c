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
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE (1 << 20)
#define PAGE 4096

static uint64_t piece[PIECE / 8];

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

/* What a script printed. The order of the lines makes no difference. */
struct output {
	uint64_t lines, digest, line;
	size_t length;
	int is_over;
	char error[160];
};

static void take(struct output *output, const unsigned char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at++) {
		if (bytes[at] != '\n') {
			output->line = (output->line ^ bytes[at]) * 1099511628211u;
			continue;
		}
		output->lines++;
		output->digest += output->line;
		output->line = 14695981039346656037u;
	}
}

/* Keeps the last line, which may come in pieces. */
static void take_error(struct output *output, const char *bytes, size_t length)
{
	for (size_t at = 0; at < length; at++) {
		if (output->is_over)
			output->length = 0;
		output->is_over = bytes[at] == '\n';
		if (!output->is_over && output->length < sizeof(output->error) - 1)
			output->error[output->length++] = bytes[at];
		output->error[output->length] = '\0';
	}
}

/* Returns the script's status; 124 if it was not done in time. */
static int run_script(const char *script, int seconds, struct output *output)
{
	int out[2], err[2];

	*output = (struct output){.line = 14695981039346656037u};
	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
		fail("pipe2");
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		setpgid(0, 0);
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	/* Here too, so that it is done before the group is ended. */
	setpgid(pid, pid);
	close(out[1]);
	close(err[1]);
	struct pollfd fds[] = {{.fd = out[0], .events = POLLIN}, {.fd = err[0], .events = POLLIN}};
	double end = now() + seconds;
	int late = 0;

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		double left = end - now();

		if (!late && left <= 0) {
			late = 1;
			kill(-pid, SIGKILL);
		}
		if (poll(fds, 2, late ? -1 : (int)(left * 1000) + 1) < 0 && errno != EINTR)
			fail("poll");
		for (int at = 0; at < 2; at++) {
			static unsigned char bytes[65536];
			ssize_t got;

			if (fds[at].fd < 0 || fds[at].revents == 0)
				continue;
			got = read(fds[at].fd, bytes, sizeof(bytes));
			if (got <= 0) {
				close(fds[at].fd);
				fds[at].fd = -1;
			} else if (at == 0) {
				take(output, bytes, (size_t)got);
			} else {
				take_error(output, (char *)bytes, (size_t)got);
			}
		}
	}
	int status;

	if (waitpid(pid, &status, 0) != pid)
		fail("waitpid");
	if (late)
		return 124;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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
	       (unsigned long long)output.digest, (unsigned long long)checked.lines,
	       (unsigned long long)checked.digest, output.error);
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
