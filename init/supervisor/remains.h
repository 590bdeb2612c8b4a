/*
 * What runs of a sandbox whose supervisor is gone. Processes are found by their command lines, since whoever started
 * them is dead. Only those count that are of this user, or that libvirt names in a file that only this user writes.
 */
#ifndef VS_REMAINS_H
#define VS_REMAINS_H

/* Kills supervisors of this state directory: one that was stopped never ends by itself. */
void remains_kill_supervisors(const char *directory);

/*
 * Ends every process of this state directory: virt-qemu-run by SIGTERM, which makes it end QEMU, then what is left of
 * QEMU and virtiofsd. After seconds, what runs still gets SIGKILL. The caller has the directory's lock: lock_state().
 * 0 if none is left; -1 after a line on stderr about one that a SIGKILL does not end.
 */
int remains_end(const char *directory);

#endif
