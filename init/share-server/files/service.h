/* A directory that is served to a guest, read-only: requests of FUSE, and their replies. */
#ifndef VS_FILES_SERVICE_H
#define VS_FILES_SERVICE_H

#include "files/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Serves this directory. The descriptor stays the caller's. False with errno if it cannot be served. */
bool service_open(struct files *files, const struct files_options *options);

void service_close(struct files *files);

/* Serves one request. Returns how many bytes of reply were written. */
uint32_t service_answer(struct files *files, const struct iovec *in, size_t in_count, const struct iovec *out,
			size_t out_count);

#endif
