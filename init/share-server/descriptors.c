#include "descriptors.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

unsigned long descriptors_raise(void)
{
	const struct rlimit wanted = {.rlim_cur = DESCRIPTORS_ENOUGH, .rlim_max = DESCRIPTORS_ENOUGH};
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_max < DESCRIPTORS_ENOUGH && setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return DESCRIPTORS_ENOUGH;
	if (limit.rlim_max > DESCRIPTORS_ENOUGH)
		limit.rlim_max = DESCRIPTORS_ENOUGH;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

bool descriptors_close_but(int kept)
{
	const unsigned int first = STDERR_FILENO + 1, before = (unsigned int)kept - 1, after = (unsigned int)kept + 1;

	if (first <= before && syscall(SYS_close_range, first, before, 0) != 0)
		return false;
	return syscall(SYS_close_range, after, ~0U, 0) == 0;
}
