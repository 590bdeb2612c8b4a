/*
 * Every operation that a host can call. Each reads its arguments, checks them, acts, and returns 0, an errno value or
 * CALL_PENDING.
 */
#ifndef VS_OPERATIONS_H
#define VS_OPERATIONS_H

#include "transport/call.h"

typedef int operation_function(struct call *call);

/* mounts.c */
operation_function op_mount, op_unmount, op_switch_root, op_keep, op_sync;
/* ids.c */
operation_function op_user_namespace, op_map_mount;
/* files.c */
operation_function op_mkdir, op_symlink, op_write_file, op_read_file, op_list_dir, op_stat, op_chown, op_chmod,
	op_mknod, op_read_link;
/* system.c */
operation_function op_hostname, op_set_clock, op_add_entropy, op_load_module, op_power_off, op_clear_memory;
/* network.c */
operation_function op_link_up, op_address, op_route;
/* processes.c */
operation_function op_spawn, op_signal, op_resize, op_run;
/* shells.c */
operation_function op_sessions, op_terminal;

#endif
