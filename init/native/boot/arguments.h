/* The first argument that makes this program something else than process 1. */
#ifndef VS_ARGUMENTS_H
#define VS_ARGUMENTS_H

#define ARGUMENT_SESSIONS "--sessions"
#define ARGUMENT_TERMINAL "--terminal"

#endif
