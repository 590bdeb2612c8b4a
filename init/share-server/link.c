#include "link.h"

#include <string.h>

const char *link_name(const char *program)
{
	const char *slash = strrchr(program, '/');

	return slash == NULL ? program : slash + 1;
}
