/* The directories that views are mounted on. Each is named as its sandbox, and all are in one directory. */
#pragma once

/* Makes a point and the directory that it is in, unless they are there. Returns 0, or -1 with errno set. */
int point_make(const char *path);

/* Removes a point and the view on it. */
void point_remove(const char *point);

/* Removes the points of sandboxes that are gone, whose processes were killed. `point` is that of the caller and stays. */
void point_remove_stale(const char *point);
