#ifndef VS_SUPERVISOR_H
#define VS_SUPERVISOR_H

/* Sends a signal to every child of this process. */
void kill_children(int signal);

/* Removes a directory and all in it, never crossing a mount point or following a link. Returns 0 when it is gone. */
int remove_tree(const char *path);

#endif
