/*
 * The wire protocol's numbers and limits, the same as in src/protocol/wire.ts; docs/protocol.md explains them. A unit
 * test reads the defines of this file, so each is one plain number or string.
 */
#ifndef VS_PROTOCOL_H
#define VS_PROTOCOL_H

#define VS_HANDSHAKE_WAIT 0x1b
#define VS_HANDSHAKE_SYNC 0x1c

#define VS_PROTOCOL_VERSION 2

#define VS_HEADER_BYTES 20
#define VS_MAX_PACKET_BYTES 262144
#define VS_MAX_SPAWN_BYTES 2359296
#define VS_STDIN_WINDOW_BYTES 524288
#define VS_OUTPUT_WINDOW_BYTES 1048576
#define VS_MAX_PROCESSES 256
#define VS_KEPT_FD 100
#define VS_KEPT_SECOND_FD 101

#define VS_CHANNEL_NAME "org.virt-sandbox.channel.0"
#define VS_SHELL_NAME "org.virt-sandbox.shell.0"

#define VS_PROC_STDIN 1
#define VS_PROC_STDOUT 2
#define VS_PROC_STDERR 3
#define VS_PROC_EXIT 4
#define VS_PROC_QUIT 5
#define VS_PROC_READY 6
#define VS_PROC_MOUNT 32
#define VS_PROC_MKDIR 33
#define VS_PROC_SYMLINK 34
#define VS_PROC_WRITE_FILE 35
#define VS_PROC_SWITCH_ROOT 36
#define VS_PROC_LINK_UP 37
#define VS_PROC_ADDRESS 38
#define VS_PROC_ROUTE 39
#define VS_PROC_HOSTNAME 40
#define VS_PROC_SET_CLOCK 41
#define VS_PROC_ADD_ENTROPY 42
#define VS_PROC_SPAWN 43
#define VS_PROC_SIGNAL 44
#define VS_PROC_RESIZE 45
#define VS_PROC_SYNC 46
#define VS_PROC_UNMOUNT 47
#define VS_PROC_POWER_OFF 48
#define VS_PROC_LOAD_MODULE 49
#define VS_PROC_RUN 50
#define VS_PROC_READ_FILE 51
#define VS_PROC_LIST_DIR 52
#define VS_PROC_STAT 53
#define VS_PROC_CHOWN 54
#define VS_PROC_CHMOD 55
#define VS_PROC_MKNOD 56
#define VS_PROC_READ_LINK 57
#define VS_PROC_CONFIGURE 58
#define VS_PROC_SESSIONS 60
#define VS_PROC_TERMINAL 61
#define VS_PROC_CLEAR_MEMORY 62
#define VS_PROC_ARRANGE 63
#define VS_PROC_USER_NAMESPACE 64
#define VS_PROC_MAP_MOUNT 65
#define VS_PROC_KEEP 66
#define VS_PROC_CONTROL 80

#define VS_TYPE_MESSAGE 0
#define VS_TYPE_DATA 1
#define VS_TYPE_CALL 2
#define VS_TYPE_REPLY 3

#define VS_STATUS_OK 0
#define VS_STATUS_ERROR 1
#define VS_STATUS_SKIPPED 2

#define VS_CALL_TOLERATE 1
#define VS_CALL_RECOVER 2

#define VS_SPAWN_PTY 1
#define VS_SPAWN_TRACE 2
#define VS_SPAWN_NAMESPACES 4
#define VS_SPAWN_APPLICATION 8
#define VS_SPAWN_BUILTIN 16

#define VS_EXIT_TIMED_OUT 1

#define VS_MAP_OPTIONAL 1

#define VS_WRITE_APPEND 1
#define VS_WRITE_PARENTS 2
#define VS_WRITE_EXCLUSIVE 4

#define VS_MAX_PATH_BYTES 4095
#define VS_MAX_READ_FILE_BYTES 131072
#define VS_MAX_LIST_DIR_NAMES 4096
#define VS_MAX_RUN_OUTPUT_BYTES 65536
#define VS_MAX_RUN_TIMEOUT_MS 60000

#endif
