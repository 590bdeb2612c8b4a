#include "builtins/component.h"

#include <string.h>

bool component_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool component_is_name(const char *name)
{
	return name[0] != '\0' && strchr(name, '/') == NULL && !component_is_dots(name);
}
