/* The topmost directory of an upper layer. */
#pragma once

/*
 * Makes it like that of the lower one: mode, owners and ACLs, since an overlay shows those of the upper one. Returns 0, or
 * -1 with errno set.
 */
int top_copy(const char *lower, const char *upper);
