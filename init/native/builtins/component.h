/* Names of entries: one component of a path. */
#ifndef VS_COMPONENT_H
#define VS_COMPONENT_H

#include <stdbool.h>

/* "." or "..", which every directory has. */
bool component_is_dots(const char *name);

/* Whether it is the name of one entry, so that it leads out of no directory. */
bool component_is_name(const char *name);

#endif
