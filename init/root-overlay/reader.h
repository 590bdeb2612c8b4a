/* A process with the rights of the reader, and of root only that to mount. */
#pragma once

#include "arguments.h"

/* Takes them, for good. Returns 0, or -1 with errno set. */
int reader_become(const struct arguments *options);
