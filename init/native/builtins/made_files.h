/* The files with several names that unpack has made, each with its number in the stream, and further names of them. */
#ifndef VS_MADE_FILES_H
#define VS_MADE_FILES_H

#include "builtins/levels.h"
#include "builtins/tree_path.h"

#include <stdint.h>
#include <sys/stat.h>

/*
 * Gives the next number to a finished file of that name in the last directory. It ends the program where no tree has
 * more.
 */
void made_files_add(const struct tree_path *path, const char *name, const struct stat *made);

/*
 * Makes another name of a file, which is unfinished yet, or a copy where the file system has no such names. The file is
 * looked for below the root of the tree, which is the second level; no link is followed. It ends the program if that is
 * no longer the file that was made, or was changed since.
 *
 * @param name of the new one in the last directory, for reports
 * @return -1, or the descriptor of a copy, of which `original` is then known
 */
int made_files_link(const struct levels *levels, uint32_t number, const char *name, struct stat *original);

#endif
