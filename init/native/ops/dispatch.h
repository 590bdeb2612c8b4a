/* Carries out the host's calls in order, skips those behind a failed one, and answers each. */
#ifndef VS_DISPATCH_H
#define VS_DISPATCH_H

#include "transport/codec.h"

/* Carries out a call, or keeps it for later. False when there is no room to keep it: offer the same call again. */
bool dispatch_accept(const struct packet_header *header, const uint8_t *payload, size_t size);
/* Carries out the kept calls that can run now. */
void dispatch_resume(void);
/* Whether a call can run now that is kept, or that is to be offered again. */
bool dispatch_ready(void);

#endif
