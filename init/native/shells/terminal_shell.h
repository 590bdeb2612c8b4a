/* A root shell on a terminal that is always there, such as a serial line. Other systems have getty for it. */
#ifndef VS_TERMINAL_SHELL_H
#define VS_TERMINAL_SHELL_H

/* Runs `argv` on the terminal `device` when somebody presses Enter there and it does not run yet. */
_Noreturn void terminal_shell(const char *device, char **argv, char **environment);

#endif
