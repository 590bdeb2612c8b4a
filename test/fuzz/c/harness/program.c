/*
 * What inputs of target `calls` start: a static program. Its first argument begins with what it does:
 *
 *   exit N    ends with status N          cat      copies its input until that ends
 *   write N   writes N bytes              sleep    waits until it is killed
 *   daemon    leaves a child that keeps its output open
 *   fork      starts a child and waits for it
 *   kill N    sends itself signal N
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_BYTES 1000000

static int number(const char *text)
{
	const char *blank = strchr(text, ' ');

	return blank == NULL ? 0 : atoi(blank + 1);
}

static void copy(void)
{
	char data[4096];
	ssize_t size;

	while ((size = read(STDIN_FILENO, data, sizeof(data))) > 0) {
		if (write(STDOUT_FILENO, data, (size_t)size) < 0)
			return;
	}
}

static void write_bytes(int count)
{
	static const char data[4096];

	if (count > MOST_BYTES)
		count = MOST_BYTES;
	while (count > 0) {
		ssize_t size = write(STDOUT_FILENO, data, count < (int)sizeof(data) ? (size_t)count : sizeof(data));

		if (size <= 0)
			return;
		count -= (int)size;
	}
}

int main(int argc, char *argv[])
{
	const char *what = argc < 2 ? "" : argv[1];
	pid_t pid;

	switch (what[0]) {
	case 'e':
		return number(what);
	case 'c':
		copy();
		return 0;
	case 'w':
		write_bytes(number(what));
		return 0;
	case 's':
		(void)pause();
		return 0;
	case 'd':
		if (fork() == 0)
			(void)pause();
		return 0;
	case 'f':
		pid = fork();
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
		return 0;
	case 'k':
		(void)raise(number(what));
		return 0;
	default:
		return 0;
	}
}
