/* The children of this process. A subreaper also inherits processes that it did not start. */
#ifndef VS_CHILDREN_H
#define VS_CHILDREN_H

/* Sends a signal to every child. */
void children_kill(int signal);

#endif
