/*
 * QEMU's connections. They are made here, and QEMU is given descriptors in place of paths, so that it need not be able
 * to connect to anything: a user's bus, for one, starts programs for whoever connects to it.
 */
#ifndef VS_SOCKETS_H
#define VS_SOCKETS_H

/*
 * Connects what these arguments of QEMU say, in their order, and changes them:
 *
 *   -chardev socket,id=ID,path=PATH                                    as libvirt and the launcher write it
 *   -netdev {"type":"stream",…,"addr":{"type":"unix","path":"PATH"}}   as the launcher writes it
 *
 * @failed becomes the path that cannot be connected to. Nothing is freed.
 */
int sockets_connect(char *arguments[], const char **failed);

#endif
