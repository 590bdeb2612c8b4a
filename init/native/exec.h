/* execve with a search of PATH, in a process that was just forked. */
#ifndef VS_EXEC_H
#define VS_EXEC_H

/* Tells the parent which step failed, with its argument for the one %s in `format`, and ends the process. */
_Noreturn void child_fail(int error, const char *format, const char *argument);

/* Becomes argv[0]; argv[-1] is a free place. */
_Noreturn void exec_program(char **argv, char **environment);

#endif
