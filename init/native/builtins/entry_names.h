/* The names in a directory, read at once: so its descriptor may be closed before all of them are done. */
#ifndef VS_ENTRY_NAMES_H
#define VS_ENTRY_NAMES_H

#include "builtins/levels.h"

struct entry_names;

/* Reads the names of the directory that was entered last, but "." and "..". NULL: there are none. */
struct entry_names *entry_names_read(const struct levels *levels);

/* The next name, which stays as long as `names`; NULL at the end. */
const char *entry_names_next(struct entry_names *names);

#endif
