/* The link by which this program was started. Its name says what is served. */
#ifndef VS_LINK_H
#define VS_LINK_H

/* The last part of `program`, argv[0]. */
const char *link_name(const char *program);

#endif
