/* execve with a search of PATH, in a process that was just forked. */
#ifndef VS_EXEC_H
#define VS_EXEC_H

/*
 * Becomes argv[0]; argv[-1] is free for the interpreter of a script. Returns only on failure: an errno value, and the
 * file that failed in *path.
 */
int exec_program(char **argv, char **environment, const char **path);

#endif
