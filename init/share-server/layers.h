/* The layers of an overlay that is kept: what a guest's overlayfs writes, and its work directory. */
#ifndef VS_LAYERS_H
#define VS_LAYERS_H

#include <stdbool.h>

/* A program that is started by a link of this name serves such layers. */
#define OVERLAY_SERVER "overlay-server"

/*
 * overlayfs needs attributes of its own, trusted.overlay.*, which only CAP_SYS_ADMIN may set. So all attributes of the
 * guest have another name on the host. It also keeps a guest's security.capability from meaning anything to the host.
 */
#define LAYERS_ATTRIBUTES                                                    \
	"--xattrmap=:bad:all:trusted.overlay.origin:trusted.overlay.origin:" \
	":ok:all:security.capability:security.capability:"                   \
	":prefix:all::user.virtiofs.::bad:all:::"

/* Whether `program`, argv[0], is such a link. */
bool layers_are_served(const char *program);

/*
 * Takes the lock of the layers, which the kernel gives back when this process ends. Two overlays over one upper layer
 * would destroy it. NULL, or what failed with errno; EWOULDBLOCK: another process serves them.
 */
const char *layers_lock(const char *directory);

#endif
