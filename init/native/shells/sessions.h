/* Root shells for a person. Each is a host with a channel, served by its own process beside the application. */
#ifndef VS_SESSIONS_H
#define VS_SESSIONS_H

/*
 * Serves one host after the other on `line`: a virtio-serial port by its name, or a terminal by its path. Ends with all
 * other processes.
 */
_Noreturn void sessions_serve(const char *line);

#endif
