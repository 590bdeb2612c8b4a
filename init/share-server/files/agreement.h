/* What this program and the guest's kernel agree on at the start. */
#ifndef VS_FILES_AGREEMENT_H
#define VS_FILES_AGREEMENT_H

#include "files/request.h"
#include "files/state.h"

/* FUSE_INIT. Returns 0 or an error. */
int agreement_make(struct files *files, const struct request *request, struct reply *reply);

#endif
