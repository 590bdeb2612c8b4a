/* The first argument that makes this program another one than process 1. */
#ifndef VS_ARGUMENTS_H
#define VS_ARGUMENTS_H

#define ARGUMENT_SESSIONS "--sessions"
#define ARGUMENT_TERMINAL "--terminal"

#endif
