/* Files of the host that are empty, and which the reader may not read. */
#pragma once

/*
 * Makes a file of a tree of overlays anew, with its mode, owners and times, if it is a regular one without content that
 * the reader may not read. Nobody can write to such a file, since the kernel copies it first; locks of package managers
 * are such files. Whatever fails leaves it as it is.
 */
void empty_file_renew(int tree, const char *path);
