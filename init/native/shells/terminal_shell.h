/* A root shell on a terminal that is always there, such as a serial line: what getty is on other systems. */
#ifndef VS_TERMINAL_SHELL_H
#define VS_TERMINAL_SHELL_H

/* Runs `argv` on the terminal `device` whenever somebody presses Enter there and it is not running. */
_Noreturn void terminal_shell(const char *device, char **argv, char **environment);

#endif
