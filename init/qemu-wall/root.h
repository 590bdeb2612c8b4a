/*
 * The root share. QEMU reaches the view of the host's files by a link through /proc/PID/root of the process that keeps
 * it. A process behind Landlock may not look into one that is not. So the link is replaced by one to a descriptor,
 * which QEMU inherits.
 */
#ifndef VS_ROOT_H
#define VS_ROOT_H

/*
 * @root: becomes a descriptor of what may be read. It is the directory that the view is mounted in, so reading is
 * allowed by the view's mounts, and the same files by any other path are not. Where there is no view, it is all of the
 * root.
 */
int root_keep(const char *link, int *root);

#endif
