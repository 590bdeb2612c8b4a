/*
 * What runs of a sandbox whose supervisor is gone: see part.h for how it is found. The directory is given by its path
 * and by a descriptor of state_open().
 */
#ifndef VS_REMAINS_H
#define VS_REMAINS_H

/*
 * Kills supervisors of this state directory: one that was stopped never ends by itself. Does nothing if another
 * directory is at the path by now.
 */
void remains_kill_supervisors(const char *directory, int state);

/*
 * Ends virt-qemu-run, QEMU and virtiofsd processes of this state directory. passt and netwall end by themselves with
 * QEMU. virt-qemu-run ends QEMU. Each process gets SIGTERM once, and SIGKILL after GRACE_MS. The caller has the
 * directory's lock: lock_state(). 0 when all have ended; -1 after a line on stderr about one that a SIGKILL does not
 * end.
 */
int remains_end(const char *directory, int state);

#endif
