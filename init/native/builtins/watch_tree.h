/*
 * The directories of a tree that is watched, each by a watch of inotify. One that is made is watched when its event is
 * read; what was in it by then is told as made. It follows no link, and leaves out /proc and /sys, where nothing is told.
 */
#ifndef VS_WATCH_TREE_H
#define VS_WATCH_TREE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Watches a directory with all directories that are in it now. It ends the program if that is none, or if they are too
 * many.
 *
 * @param inotify where the events are
 * @param changes which of them count
 * @param tell is called for an entry that was there before its directory was watched, and with NULL where something in
 *   the tree cannot be watched or told
 */
void watch_tree_start(int inotify, uint32_t changes, const char *path, void (*tell)(const char *path));

/*
 * The path of an entry from the root of the tree, until the next call.
 *
 * @param watch the number of a watch
 * @param name in its directory; empty: the directory itself
 * @return NULL: nobody is to know. It is told for the directory above, or is in the tree no more.
 */
const char *watch_tree_path(int watch, const char *name);

/* A directory of that name was made there, or has come there. */
void watch_tree_add(int watch, const char *name);
/* A directory has left. It may come back under another name. */
void watch_tree_take(int watch, const char *name);
/* A watch has ended. Returns false if it was that of the root. */
bool watch_tree_end(int watch);
/* Forgets directories that have left, if no event is waiting. */
void watch_tree_forget(void);
/* Events were lost: looks for directories of which nothing was told. */
void watch_tree_renew(void);

#endif
