/* The server's messages. A guest can provoke any number of them. */
#ifndef VS_LOG_H
#define VS_LOG_H

/* The most bytes that come into a log, before a line that says that the rest is left out. */
#define LOG_BYTES 262144

/* Copies from one descriptor to another until the first is at its end. What is beyond LOG_BYTES is read and dropped. */
void log_copy(int from, int to);

#endif
