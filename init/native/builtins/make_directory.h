/* A directory that is made and entered where others may exchange it in between. */
#ifndef VS_MAKE_DIRECTORY_H
#define VS_MAKE_DIRECTORY_H

#include <stdbool.h>

/*
 * Makes a directory that only its owner may enter, or takes the one that is there, and opens it with O_PATH. It follows
 * no link. ESTALE: it made one, and what has the name now is another user's. So nobody leads what is made in it to a
 * directory of theirs.
 *
 * @param is_made whether it was not there, and is empty
 * @return the descriptor, or -1 with errno set
 */
int make_directory(int above, const char *name, bool *is_made);

#endif
