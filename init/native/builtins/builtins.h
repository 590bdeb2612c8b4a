/*
 * Programs that are part of the init: what a host does to the files of a sandbox, whatever programs its root has.
 *
 * Each runs in a process of its own that was forked from the init, with the identity, directory and streams that the
 * host gave it and no other descriptor. It has the rights of that user, so it may follow any link: it reaches no more
 * than a program of the sandbox does. docs/protocol.md describes each.
 */
#ifndef VS_BUILTINS_H
#define VS_BUILTINS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether `name` is one. */
bool builtin_exists(const char *name);

/*
 * Runs one with the arguments after its name, and ends the process: with 0, or with BUILTIN_FAILED after a report on
 * stderr.
 */
_Noreturn void builtin_run(char **argv);

#define BUILTIN_FAILED 1

/*
 * Removes what is unfinished, and ends the process with a report: u32 errno (big-endian), then what failed, as printf()
 * has it.
 */
_Noreturn void builtin_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads a decimal number from 0 to `most`. Anything else is EINVAL, and ends the process. */
uint32_t builtin_number(const char *text, uint32_t most);
/* Reads 0 or 1. */
bool builtin_flag(const char *text);

/* Permissions, with setuid, setgid and sticky. */
#define BUILTIN_MODES 07777

/* Each of these is one, in the file of its name. `argv` begins with its first argument. */
void builtin_connect(char **argv);
void builtin_connect_udp(char **argv);
void builtin_list(char **argv);
void builtin_mkdir(char **argv);
void builtin_read(char **argv);
void builtin_remove(char **argv);
void builtin_rename(char **argv);
void builtin_stat(char **argv);
void builtin_watch(char **argv);
void builtin_write(char **argv);
void builtin_pack(char **argv);
void builtin_unpack(char **argv);
void builtin_layer(char **argv);
void builtin_freeze(char **argv);
void builtin_watch_screen(char **argv);

#endif
