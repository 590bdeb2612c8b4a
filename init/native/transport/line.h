/* What carries packets: a virtio-serial port, or a terminal as a clean byte stream. */
#ifndef VS_LINE_H
#define VS_LINE_H

/* Opens it non-blocking; `directory` as in openat(2). -1 after logging why. */
int line_open(int directory, const char *path);

#endif
