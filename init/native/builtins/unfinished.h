/*
 * A new file, link or FIFO under another name, until all of it is there. There is one at a time. A program that fails
 * removes it, and one that gets SIGTERM too, if it called unfinished_end_on_terminate().
 */
#ifndef VS_UNFINISHED_H
#define VS_UNFINISHED_H

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* From now on SIGTERM removes what is unfinished, and ends the program. */
void unfinished_end_on_terminate(void);

/*
 * These make one in `directory`, a descriptor that stays open until it is finished or removed, under a name that nobody
 * can foresee.
 *
 * @return the file, which only its owner may open yet, or 0, or -1 with errno set
 */
int unfinished_open(int directory);
int unfinished_symlink(int directory, const char *target);
int unfinished_mkfifo(int directory, mode_t mode);
/* Another name of a file, which has one in `from`. It follows no link. */
int unfinished_link(int directory, int from, const char *name);

/* What it is. It follows no link. Returns -1 with errno set. */
int unfinished_stat(struct stat *found);

/* Sets its times, as utimensat() does. It follows no link. Returns -1 with errno set. */
int unfinished_set_times(const struct timespec times[2]);

/* Gives it its name in the same directory, in place of what has that name. Returns -1 with errno set. */
int unfinished_rename(const char *name);
/* The same, of what unfinished_link() made: what has that name may be another name of the same file. */
int unfinished_rename_hard_link(const char *name);

/* Removes it if there is one. */
void unfinished_remove(void);

#endif
