#include "util/platform.h"

#include "util/macros.h"

static enum platform current = TEST_BUILD ? PLATFORM_TEST : PLATFORM_MACHINE;

enum platform platform(void)
{
	return current;
}

void platform_set(enum platform value)
{
	current = value;
}
