/* Root shells for a person: hosts of their own, served beside the application by processes of their own. */
#ifndef VS_SESSIONS_H
#define VS_SESSIONS_H

/*
 * Serves one host after the other on `place`: a virtio-serial port by its name, or a terminal by its path. Ends with all other
 * processes.
 */
_Noreturn void sessions_serve(const char *line);

#endif
