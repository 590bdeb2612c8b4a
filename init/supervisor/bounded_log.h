/*
 * Bounds the log that QEMU writes to a file. A guest can provoke any number of messages, and the file is in memory, in
 * /run. virtlogd does this for libvirt's daemons; the embedded driver has none.
 *
 * It is done here and not in the launcher, since whoever runs that may stop it.
 */
#ifndef VS_BOUNDED_LOG_H
#define VS_BOUNDED_LOG_H

#include <stdbool.h>

/* A longer log is cut. In bytes. */
#define LOG_BYTES 262144

/* What stays of it: its beginning, with QEMU's command line and first messages. In bytes. */
#define KEPT_BYTES 65536

/*
 * Watches an existing file from now on. libvirt has QEMU append to it, so what comes next follows what stays. False
 * with errno if there is none.
 */
bool bounded_log_watch(const char *path);

/* Readable when the log may have grown; -1 if there is no log, or it is not watched (yet). For poll(2). */
int bounded_log_fd(void);

/* How long poll(2) may wait at most, in milliseconds, since the log has to be looked at; -1: as long as it likes. */
int bounded_log_wait(int most);

/* Cuts the log if it is too long. Call it whenever poll(2) has returned: it also begins to watch the log. */
void bounded_log_cut(void);

#endif
