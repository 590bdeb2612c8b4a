#include "wall.h"

#include "reader.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * An overlay without an upper layer wants two lower ones. Attributes of the host's that look like an overlay's lead
 * nowhere: redirect_dir, metacopy.
 */
#define OPTIONS "lowerdir=lower/%zu:empty,redirect_dir=nofollow,index=off,metacopy=off,xino=off"
#define FLAGS (MS_RDONLY | MS_NODEV)

static int make_one(size_t number, unsigned long flags)
{
	char target[NAME_MAX];
	char options[NAME_MAX];

	(void)snprintf(target, sizeof(target), "wall/%zu", number);
	(void)snprintf(options, sizeof(options), OPTIONS, number);
	return mount("overlay", target, "overlay", flags, options) == 0 ? 0 : errno;
}

static int make_points(const int *errors, size_t count)
{
	char target[NAME_MAX];

	for (size_t i = 0; i < count; i++) {
		(void)snprintf(target, sizeof(target), "wall/%zu", i);
		if (errors[i] == 0 && mkdir(target, 0755) != 0)
			return -1;
	}
	return 0;
}

static void make_each(unsigned long flags, int *errors, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (errors[i] == 0)
			errors[i] = make_one(i, flags);
	}
}

/* Its status is 0 when it has tried all of them. */
static _Noreturn void make_as_reader(const struct arguments *options, int *errors, size_t count)
{
	if (reader_become(options) != 0)
		_exit(errno);
	make_each(FLAGS | MS_NOSUID, errors, count);
	_exit(0);
}

static int await(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return errno == 0 ? 0 : -1;
}

bool wall_is_needed(const struct arguments *options)
{
	return options->has_reader || options->kept != NULL;
}

int wall_make(const struct arguments *options, int *errors, size_t count)
{
	size_t size = count * sizeof(*errors);
	int *shared;

	if (make_points(errors, count) != 0)
		return -1;
	if (!options->has_reader) {
		make_each(FLAGS, errors, count);
		return 0;
	}
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < count; i++)
		shared[i] = errors[i];

	pid_t pid = fork();

	if (pid == 0)
		make_as_reader(options, shared, count);

	int result = pid < 0 ? -1 : await(pid);
	int error = errno;

	for (size_t i = 0; i < count; i++)
		errors[i] = shared[i];
	(void)munmap(shared, size);
	errno = error;
	return result;
}
